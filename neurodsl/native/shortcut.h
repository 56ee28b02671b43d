// The shortest way of a module's call: what the call depends on is compared by identity with what the last one saw,
// kernels are run, states are set. Any doubt ends it, and the module's own code decides.
#pragma once

#include <structmember.h>
#include <torch/csrc/jit/frontend/tracer.h>

#include "node.h"

namespace neurodsl {

struct Shortcut {
    PyObject_HEAD
    PyObject* names;   // of attributes that the call depends on
    PyObject* seen;    // their values, compared by identity
    PyObject* states;  // names of attributes
    PyObject* hooks;   // names of the module's dictionaries that have to be empty
    PyObject* global_hooks;
    int inputs, outputs;
    at::ScalarType type;
    SharedPlan* plan;
    c10::SmallVector<double, 12>* numbers;
    vectorcallfunc call;
};

static PyObject* FORWARD = nullptr;  // the name of a module's method

static bool undisturbed(const Shortcut& self, PyObject* attributes) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self.global_hooks); ++i)
        if (PyDict_GET_SIZE(PyTuple_GET_ITEM(self.global_hooks, i))) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self.hooks); ++i) {
        PyObject* found = PyDict_GetItemWithError(attributes, PyTuple_GET_ITEM(self.hooks, i));
        if (found == nullptr || !PyDict_Check(found) || PyDict_GET_SIZE(found)) return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self.names); ++i)
        if (PyDict_GetItemWithError(attributes, PyTuple_GET_ITEM(self.names, i)) != PyTuple_GET_ITEM(self.seen, i)) return false;
    return !PyDict_Contains(attributes, FORWARD) && !torch::jit::tracer::isTracing();
}

// shortcut(attributes, inputs): the outputs, with the states set; None where this way is not open.
static PyObject* shortcut_call(PyObject* object, PyObject* const* args, size_t, PyObject*) {
    HANDLE_TH_ERRORS
    auto& self = *reinterpret_cast<Shortcut*>(object);
    PyObject *attributes = args[0], *inputs = args[1];
    const Plan& plan = **self.plan;
    if (!PyDict_Check(attributes) || !PyTuple_Check(inputs) || PyTuple_GET_SIZE(inputs) != self.inputs) Py_RETURN_NONE;
    if (!undisturbed(self, attributes)) {
        if (PyErr_Occurred()) return nullptr;
        Py_RETURN_NONE;
    }
    c10::SmallVector<PyObject*, 12> items;
    for (int i = 0; i < self.inputs; ++i) {
        items.push_back(PyTuple_GET_ITEM(inputs, i));
        if (!THPVariable_CheckExact(items[i])) Py_RETURN_NONE;
        if (THPVariable_Unpack(items[i]).scalar_type() != self.type) Py_RETURN_NONE;
    }
    for (Py_ssize_t i = 0; i < plan.states; ++i)
        items.push_back(PyDict_GetItemWithError(attributes, PyTuple_GET_ITEM(self.states, i)));
    Call call;
    call.numbers = *self.numbers;
    c10::SmallVector<Tensor, 24> tensors;
    if (!perform(*self.plan, items.data(), 0, -1, at::GradMode::is_enabled(), false, std::move(call), tensors)) Py_RETURN_NONE;
    const int given = plan.given();
    for (int i = 0; i < plan.states; ++i) {
        THPObjectPtr state(THPVariable_Wrap(tensors[given + plan.outputs + i]));
        if (PyDict_SetItem(attributes, PyTuple_GET_ITEM(self.states, i), state.get())) return nullptr;
    }
    if (self.outputs == 1) return THPVariable_Wrap(tensors[given]);
    PyObject* made = PyTuple_New(self.outputs);
    for (int i = 0; i < self.outputs; ++i) PyTuple_SET_ITEM(made, i, THPVariable_Wrap(tensors[given + i]));
    return made;
    END_HANDLE_TH_ERRORS
}

static void shortcut_free(PyObject* object) {
    auto& self = *reinterpret_cast<Shortcut*>(object);
    for (PyObject* held : {self.names, self.seen, self.states, self.hooks, self.global_hooks}) Py_XDECREF(held);
    delete self.plan;
    delete self.numbers;
    Py_TYPE(object)->tp_free(object);
}

static PyTypeObject SHORTCUT = {PyVarObject_HEAD_INIT(nullptr, 0)};

static bool ready_shortcut() {
    FORWARD = PyUnicode_InternFromString("forward");
    SHORTCUT.tp_name = "neurodsl_native.Shortcut";
    SHORTCUT.tp_basicsize = sizeof(Shortcut);
    SHORTCUT.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL;
    SHORTCUT.tp_vectorcall_offset = offsetof(Shortcut, call);
    SHORTCUT.tp_call = PyVectorcall_Call;
    SHORTCUT.tp_dealloc = shortcut_free;
    return FORWARD != nullptr && PyType_Ready(&SHORTCUT) == 0;
}

}  // namespace neurodsl
