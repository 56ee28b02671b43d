// The Python module: the call path, bits of spikes, and the pool of outputs. It depends on no neuron, so it is built
// once for a version of PyTorch.

#include <torch/csrc/utils/python_numbers.h>

#include <torch/csrc/Dtype.h>

#include "bits.h"
#include "node.h"
#include "shortcut.h"

namespace neurodsl {

static const char* const PLAN = "neurodsl.plan";

static std::vector<Entry> entries_of(PyObject* listed) {
    std::vector<Entry> entries;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(listed); ++i) {
        PyObject* pair = PyTuple_GET_ITEM(listed, i);
        entries.push_back({int(PyLong_AsLong(PyTuple_GET_ITEM(pair, 0))), int(PyLong_AsLong(PyTuple_GET_ITEM(pair, 1)))});
    }
    return entries;
}

static void forget(const Plan* plan) {
    if (Py_IsInitialized()) {
        pybind11::gil_scoped_acquire gil;
        Py_DECREF(plan->stale);
        Py_DECREF(plan->message);
    }
    delete plan;
}

static Kernel kernel_of(PyObject* described) {
    unsigned long long address;
    PyObject* entries;
    if (!PyArg_ParseTuple(described, "KO!", &address, &PyTuple_Type, &entries)) throw python_error();
    return {reinterpret_cast<int (*)(const Slot*)>(address), entries_of(entries)};
}

// prepare(forward, train, backward, (inputs, states, scalars, outputs, recorded), saved, optional states, name, error,
// message): a plan. Kernels are (address, entries); what is saved (every, above, whether in bfloat16).
static PyObject* prepare(PyObject*, PyObject* args) {
    HANDLE_TH_ERRORS
    PyObject *forward, *train, *backward, *saved, *optional, *stale, *message;
    const char* name;
    auto plan = std::make_unique<Plan>();
    if (!PyArg_ParseTuple(
            args, "OOO(iiiii)O!O!sOO", &forward, &train, &backward, &plan->inputs, &plan->states, &plan->scalars,
            &plan->outputs, &plan->recorded, &PyTuple_Type, &saved, &PyTuple_Type, &optional, &name, &stale, &message))
        return nullptr;
    plan->forward = kernel_of(forward);
    plan->train = kernel_of(train);
    plan->backward = kernel_of(backward);
    plan->kept.assign(plan->given(), false);
    for (const Entry& entry : plan->backward.entries)
        if (entry.kind == TENSOR && entry.place < plan->given()) plan->kept[entry.place] = true;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(saved); ++i) {
        long long every, above;
        int half;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(saved, i), "LLp", &every, &above, &half)) return nullptr;
        plan->saved.push_back({every, above, half != 0});
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(optional); ++i)
        plan->optional.push_back(PyTuple_GET_ITEM(optional, i) == Py_True);
    plan->name = name;
    plan->stale = Py_NewRef(stale);
    plan->message = Py_NewRef(message);
    auto* held = new SharedPlan(plan.release(), forget);
    return PyCapsule_New(held, PLAN, [](PyObject* capsule) {
        delete static_cast<SharedPlan*>(PyCapsule_GetPointer(capsule, PLAN));
    });
    END_HANDLE_TH_ERRORS
}

static SharedPlan* plan_of(PyObject* capsule) { return static_cast<SharedPlan*>(PyCapsule_GetPointer(capsule, PLAN)); }

static bool read_numbers(PyObject* given, c10::SmallVector<double, 12>& numbers) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given); ++i) {
        numbers.push_back(PyFloat_AsDouble(PyTuple_GET_ITEM(given, i)));
        if (numbers.back() == -1.0 && PyErr_Occurred()) return false;
    }
    return true;
}

// run(plan, numbers, steps before, seed, keep, *tensors): the results, or None where the slower way has to be taken.
static PyObject* run(PyObject*, PyObject* const* args, Py_ssize_t count) {
    HANDLE_TH_ERRORS
    TORCH_CHECK_TYPE(count >= 6, "run(plan, numbers, steps before, seed, keep, *tensors)");
    const SharedPlan* held = plan_of(args[0]);
    if (held == nullptr) return nullptr;
    const Plan& plan = **held;
    TORCH_CHECK_TYPE(PyTuple_Check(args[1]) && count == 5 + plan.given(), "run: not what the plan wants");
    Call call;
    if (!read_numbers(args[1], call.numbers)) return nullptr;
    const int64_t before = THPUtils_unpackLong(args[2]), seed = THPUtils_unpackLong(args[3]);
    c10::SmallVector<Tensor, 24> tensors;
    if (!perform(*held, args + 5, before, seed, false, args[4] == Py_True, std::move(call), tensors)) Py_RETURN_NONE;
    PyObject* made = PyTuple_New(plan.results());
    for (int i = 0; i < plan.results(); ++i) PyTuple_SET_ITEM(made, i, THPVariable_Wrap(tensors[plan.given() + i]));
    return made;
    END_HANDLE_TH_ERRORS
}

// shortcut(plan, numbers, dtype, names, seen, states, hooks, global hooks, outputs): of the calls of one module.
static PyObject* shortcut(PyObject*, PyObject* args) {
    HANDLE_TH_ERRORS
    PyObject *plan, *numbers, *dtype, *names, *seen, *states, *hooks, *global_hooks;
    int outputs;
    if (!PyArg_ParseTuple(
            args, "OO!OO!O!O!O!O!i", &plan, &PyTuple_Type, &numbers, &dtype, &PyTuple_Type, &names, &PyTuple_Type, &seen,
            &PyTuple_Type, &states, &PyTuple_Type, &hooks, &PyTuple_Type, &global_hooks, &outputs))
        return nullptr;
    const SharedPlan* held = plan_of(plan);
    if (held == nullptr) return nullptr;
    c10::SmallVector<double, 12> values;
    if (!read_numbers(numbers, values)) return nullptr;
    TORCH_CHECK_TYPE(THPDtype_Check(dtype), "shortcut: not a dtype");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(global_hooks); ++i)
        TORCH_CHECK_TYPE(PyDict_Check(PyTuple_GET_ITEM(global_hooks, i)), "shortcut: hooks are dictionaries");
    auto* self = reinterpret_cast<Shortcut*>(SHORTCUT.tp_alloc(&SHORTCUT, 0));
    if (self == nullptr) return nullptr;
    self->names = Py_NewRef(names);
    self->seen = Py_NewRef(seen);
    self->states = Py_NewRef(states);
    self->hooks = Py_NewRef(hooks);
    self->global_hooks = Py_NewRef(global_hooks);
    self->inputs = (*held)->inputs;
    self->outputs = outputs;
    self->type = reinterpret_cast<THPDtype*>(dtype)->scalar_type;
    self->plan = new SharedPlan(*held);
    self->numbers = new c10::SmallVector<double, 12>(values);
    self->call = shortcut_call;
    return reinterpret_cast<PyObject*>(self);
    END_HANDLE_TH_ERRORS
}

// pack_bits(tensor): its bits, or None if it holds anything but zeros and ones.
static PyObject* pack_bits(PyObject*, PyObject* given) {
    HANDLE_TH_ERRORS
    TORCH_CHECK_TYPE(THPVariable_Check(given), "pack_bits: not a tensor");
    const Tensor tensor = THPVariable_Unpack(given);
    TORCH_CHECK(tensor.is_cpu() && tensor.is_contiguous() && one_of(tensor.scalar_type()), "pack_bits: not a tensor of spikes");
    Tensor bits;
    bool binary;
    {
        pybind11::gil_scoped_release released;
        at::AutoDispatchBelowADInplaceOrView below;
        bits = at::detail::empty_cpu({(tensor.numel() + 7) / 8}, at::kByte);
        binary = pack_tensor(tensor, bits.mutable_data_ptr<uint8_t>());
    }
    if (!binary) Py_RETURN_NONE;
    return THPVariable_Wrap(bits);
    END_HANDLE_TH_ERRORS
}

// unpack_bits(bits, first, count, dtype): a tensor of the elements from the first on.
static PyObject* unpack_bits(PyObject*, PyObject* args) {
    HANDLE_TH_ERRORS
    PyObject *bits, *dtype;
    long long first, count;
    if (!PyArg_ParseTuple(args, "OLLO", &bits, &first, &count, &dtype)) return nullptr;
    TORCH_CHECK_TYPE(THPVariable_Check(bits) && THPDtype_Check(dtype), "unpack_bits(bits, first, count, dtype)");
    const Tensor from = THPVariable_Unpack(bits);
    const at::ScalarType type = reinterpret_cast<THPDtype*>(dtype)->scalar_type;
    TORCH_CHECK(
        from.is_cpu() && from.is_contiguous() && from.scalar_type() == at::kByte && one_of(type) && first >= 0 &&
            count >= 0 && first + count <= from.numel() * 8,
        "unpack_bits: sizes or types do not fit");
    Tensor made;
    {
        pybind11::gil_scoped_release released;
        at::AutoDispatchBelowADInplaceOrView below;
        made = empty({count}, type);
        unpack_tensor(from.const_data_ptr<uint8_t>(), first, made);
    }
    return THPVariable_Wrap(made);
    END_HANDLE_TH_ERRORS
}

static PyObject* empty_pool(PyObject*, PyObject*) { return PyLong_FromSize_t(Pool::get().empty()); }

static PyObject* pool_bytes(PyObject*, PyObject*) { return PyLong_FromSize_t(Pool::get().cached()); }

static PyObject* pool_limit(PyObject*, PyObject* bytes) {
    const size_t limit = PyLong_AsSize_t(bytes);
    if (PyErr_Occurred()) return nullptr;
    Pool::get().set_limit(limit);
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"prepare", prepare, METH_VARARGS, "What is the same in all calls of two kernels."},
    {"shortcut", shortcut, METH_VARARGS, "The shortest way of a module's calls."},
    {"run", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(run)), METH_FASTCALL, "Run, and note for backward."},
    {"pack_bits", pack_bits, METH_O, "Bits of a tensor of zeros and ones."},
    {"unpack_bits", unpack_bits, METH_VARARGS, "A tensor of zeros and ones, of bits."},
    {"empty_pool", empty_pool, METH_NOARGS, "Give back what is kept; its bytes."},
    {"pool_bytes", pool_bytes, METH_NOARGS, "Bytes kept to be handed out again."},
    {"pool_limit", pool_limit, METH_O, "Keep at most so many bytes."},
    {nullptr, nullptr, 0, nullptr},
};

static PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "neurodsl_native", nullptr, -1, METHODS, nullptr, nullptr, nullptr, nullptr};

}  // namespace neurodsl

PyMODINIT_FUNC PyInit_neurodsl_native() {
    if (!neurodsl::ready_shortcut()) return nullptr;
    return PyModule_Create(&neurodsl::MODULE);
}
