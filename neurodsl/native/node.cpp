// The call of any fused kernel as one node of PyTorch's graph. It knows kernels by address and by a list that says what
// each argument is; nothing here depends on a neuron, so it is built once for a version of PyTorch.

#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/utils/python_numbers.h>

#include <c10/core/impl/TorchDispatchModeTLS.h>
#include <c10/util/SmallVector.h>

#include <memory>
#include <string>

#include "bits.h"
#include "pool.h"

namespace neurodsl {

using at::Tensor;
using torch::autograd::variable_list;

union Slot {
    const void* address;
    double number;
    int64_t count;
};

enum Kind { NOTHING, TENSOR, REAL, WHOLE, COUNT };

struct Entry {
    int kind, place;
};

struct Kernel {
    int (*function)(const Slot*);
    std::vector<Entry> entries;
};

struct Plan {
    Kernel forward, backward;
    int inputs, states, scalars, outputs, recorded, saved;
    std::vector<bool> optional;  // of the states: may be left out
    std::vector<bool> kept;      // of the given tensors: backward reads them
    std::string name;
    PyObject *stale, *message;

    int given() const { return inputs + states + scalars; }
    int results() const { return outputs + states + recorded; }
};

struct Call {
    c10::SmallVector<double, 12> numbers;
    int64_t counts[6];  // time steps, neurons, steps before, seed, channels, neurons a channel
    c10::SmallVector<int64_t, 6> shape;
    at::ScalarType type;

    at::IntArrayRef sequence() const { return shape; }
    at::IntArrayRef step() const { return at::IntArrayRef(shape).slice(1); }
};

static void launch(const Kernel& kernel, const Call& call, const Tensor* tensors) {
    c10::SmallVector<Slot, 48> slots(kernel.entries.size());
    for (size_t i = 0; i < slots.size(); ++i) {
        const auto [kind, place] = kernel.entries[i];
        slots[i].count = 0;
        if (kind == TENSOR) slots[i].address = tensors[place].defined() ? tensors[place].const_data_ptr() : nullptr;
        if (kind == REAL) slots[i].number = call.numbers[place];
        if (kind == WHOLE) slots[i].count = int64_t(call.numbers[place]);
        if (kind == COUNT) slots[i].count = call.counts[place];
    }
    TORCH_CHECK_WITH(OutOfMemoryError, kernel.function(slots.data()) == 0, "neurodsl: no memory for a kernel's scratch");
}

struct FusedNode final : torch::autograd::Node {
    std::shared_ptr<const Plan> plan;
    Call call;
    std::vector<torch::autograd::SavedVariable> saved;  // given tensors, then the tape
    std::vector<std::vector<int64_t>> scalar_shapes;
    bool released = false;

    std::string name() const override { return plan->name; }

    void release_variables() override {
        for (auto& variable : saved) variable.reset_data();
        released = true;
    }

    variable_list apply(variable_list&& gradients) override {
        if (released) fail();
        const int given = plan->given(), results = plan->results();
        c10::SmallVector<Tensor, 24> tensors;
        for (auto& variable : saved) tensors.push_back(variable.unpack());
        const bool twice = at::GradMode::is_enabled();
        variable_list wanted(given);
        {
            at::NoGradGuard off;
            for (int i = 0; i < results; ++i)
                tensors.push_back(gradients[i].defined() ? gradients[i].contiguous() : gradients[i]);
            for (int i = 0; i < given; ++i) {
                if (task_should_compute_output(i)) wanted[i] = fresh(i);
                tensors.push_back(wanted[i]);
            }
            launch(plan->backward, call, tensors.data());
        }
        if (!twice) return wanted;
        const auto error = c10::make_intrusive<torch::autograd::DelayedError>(
            plan->name + ": the fused kernels cannot be differentiated twice; backend=\"reference\" can", given);
        return error->apply(std::move(wanted));
    }

    Tensor fresh(int i) const {
        if (i < plan->inputs) return empty(call.sequence(), call.type);
        if (i < plan->inputs + plan->states) return empty(call.step(), call.type);
        return at::zeros(scalar_shapes[i - plan->inputs - plan->states], call.type);
    }

    void fail() const {
        pybind11::gil_scoped_acquire gil;
        PyErr_SetObject(plan->stale, plan->message);
        python_error error;
        error.persist();
        throw error;
    }
};

static bool fits(const Tensor& tensor, at::ScalarType type) {
    return tensor.is_cpu() && tensor.layout() == at::kStrided && tensor.scalar_type() == type && tensor.is_contiguous() &&
           !tensor.unsafeGetTensorImpl()->is_python_dispatch() && !tensor.is_neg() && !tensor.is_conj();
}

static const char* const PLAN = "neurodsl.plan";

static std::vector<Entry> entries_of(PyObject* listed) {
    std::vector<Entry> entries;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(listed); ++i) {
        PyObject* pair = PyTuple_GET_ITEM(listed, i);
        entries.push_back({int(PyLong_AsLong(PyTuple_GET_ITEM(pair, 0))), int(PyLong_AsLong(PyTuple_GET_ITEM(pair, 1)))});
    }
    return entries;
}

// prepare(forward, backward, forward entries, backward entries, (counts), (optional states), name, error, message)
static PyObject* prepare(PyObject*, PyObject* args) {
    HANDLE_TH_ERRORS
    unsigned long long forward, backward;
    PyObject *forward_entries, *backward_entries, *optional, *stale, *message;
    const char* name;
    Plan plan;
    if (!PyArg_ParseTuple(
            args, "KKO!O!(iiiiii)O!sOO", &forward, &backward, &PyTuple_Type, &forward_entries, &PyTuple_Type,
            &backward_entries, &plan.inputs, &plan.states, &plan.scalars, &plan.outputs, &plan.recorded, &plan.saved,
            &PyTuple_Type, &optional, &name, &stale, &message))
        return nullptr;
    plan.forward = {reinterpret_cast<int (*)(const Slot*)>(forward), entries_of(forward_entries)};
    plan.backward = {reinterpret_cast<int (*)(const Slot*)>(backward), entries_of(backward_entries)};
    plan.kept.assign(plan.given(), false);
    for (const Entry& entry : plan.backward.entries)
        if (entry.kind == TENSOR && entry.place < plan.given()) plan.kept[entry.place] = true;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(optional); ++i)
        plan.optional.push_back(PyTuple_GET_ITEM(optional, i) == Py_True);
    plan.name = name;
    plan.stale = Py_NewRef(stale);
    plan.message = Py_NewRef(message);
    auto* held = new std::shared_ptr<const Plan>(std::make_shared<const Plan>(std::move(plan)));
    return PyCapsule_New(held, PLAN, [](PyObject* capsule) {
        auto* held = static_cast<std::shared_ptr<const Plan>*>(PyCapsule_GetPointer(capsule, PLAN));
        Py_DECREF((*held)->stale);
        Py_DECREF((*held)->message);
        delete held;
    });
    END_HANDLE_TH_ERRORS
}

static bool read_numbers(PyObject* numbers, Call& call) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(numbers); ++i) {
        call.numbers.push_back(PyFloat_AsDouble(PyTuple_GET_ITEM(numbers, i)));
        if (call.numbers.back() == -1.0 && PyErr_Occurred()) return false;
    }
    return true;
}

// run(plan, numbers, steps before, seed, keep, *tensors): the results, or None where the slower way has to be taken.
static PyObject* run(PyObject*, PyObject* const* args, Py_ssize_t count) {
    HANDLE_TH_ERRORS
    TORCH_CHECK_TYPE(count >= 6, "run(plan, numbers, steps before, seed, keep, *tensors)");
    auto* held = static_cast<std::shared_ptr<const Plan>*>(PyCapsule_GetPointer(args[0], PLAN));
    if (held == nullptr) return nullptr;
    const Plan& plan = **held;
    TORCH_CHECK_TYPE(PyTuple_Check(args[1]) && count == 5 + plan.given(), "run: not what the plan wants");
    if (c10::impl::TorchDispatchModeTLS::any_modes_set() ||
        c10::impl::tls_is_dispatch_key_included(c10::DispatchKey::FuncTorchDynamicLayerFrontMode))
        Py_RETURN_NONE;
    Call call;
    if (!read_numbers(args[1], call)) return nullptr;
    bool keep = false;
    const bool asked = args[4] == Py_None && at::GradMode::is_enabled();
    c10::SmallVector<Tensor, 24> tensors;
    for (int i = 0; i < plan.given(); ++i) {
        PyObject* item = args[5 + i];
        if (item == Py_None) {
            const int state = i - plan.inputs;
            if (state < 0 || state >= plan.states || !plan.optional[state]) Py_RETURN_NONE;
            tensors.emplace_back();
            continue;
        }
        if (!THPVariable_Check(item)) Py_RETURN_NONE;
        tensors.push_back(THPVariable_Unpack(item));
        const Tensor& tensor = tensors.back();
        if (i == 0) call.type = tensor.scalar_type();
        if (!fits(tensor, call.type)) Py_RETURN_NONE;
        if (i < plan.inputs + plan.states) {
            const at::IntArrayRef wanted = i < plan.inputs ? tensors[0].sizes() : tensors[0].sizes().slice(1);
            if (tensor.sizes() != wanted) Py_RETURN_NONE;
        }
        keep = keep || (asked && tensor.requires_grad());
    }
    keep = keep || args[4] == Py_True;
    const Tensor& first = tensors[0];
    if (first.dim() < 2 || !first.numel() || (call.type != at::kFloat && call.type != at::kDouble)) Py_RETURN_NONE;
    call.shape.append(first.sizes().begin(), first.sizes().end());
    int64_t inner = 1;
    for (int64_t d = 3; d < first.dim(); ++d) inner *= first.size(d);
    const int64_t channels = first.dim() > 2 ? first.size(2) : 1;
    const int64_t found[6] = {
        first.size(0), first.numel() / first.size(0), THPUtils_unpackLong(args[2]), THPUtils_unpackLong(args[3]), channels,
        inner};
    std::copy(found, found + 6, call.counts);
    const int results = plan.results(), given = plan.given();
    {
        pybind11::gil_scoped_release released;
        at::AutoDispatchBelowADInplaceOrView below;
        for (int i = 0; i < plan.outputs; ++i) tensors.push_back(empty(call.sequence(), call.type));
        for (int i = 0; i < plan.states; ++i) tensors.push_back(empty(call.step(), call.type));
        for (int i = 0; i < plan.recorded + plan.saved; ++i) tensors.push_back(empty(call.sequence(), call.type));
        launch(plan.forward, call, tensors.data());
    }
    if (keep) {
        auto node = c10::make_intrusive<FusedNode>();
        torch::autograd::edge_list edges;
        for (int i = 0; i < given; ++i)
            edges.push_back(tensors[i].defined() ? torch::autograd::impl::gradient_edge(tensors[i]) : torch::autograd::Edge());
        node->set_next_edges(std::move(edges));
        node->plan = *held;
        for (int i = 0; i < given; ++i) node->saved.emplace_back(plan.kept[i] ? tensors[i] : Tensor(), false);
        for (int i = 0; i < plan.saved; ++i) node->saved.emplace_back(tensors[given + results + i], false);
        for (int i = plan.inputs + plan.states; i < given; ++i) node->scalar_shapes.push_back(tensors[i].sizes().vec());
        node->call = std::move(call);
        for (int i = 0; i < results; ++i) torch::autograd::set_history(tensors[given + i], node);
    }
    PyObject* made = PyTuple_New(results);
    for (int i = 0; i < results; ++i) PyTuple_SET_ITEM(made, i, THPVariable_Wrap(tensors[given + i]));
    return made;
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

// unpack_bits(bits, first, tensor): fill the tensor with the elements from the first on.
static PyObject* unpack_bits(PyObject*, PyObject* args) {
    HANDLE_TH_ERRORS
    PyObject *bits, *made;
    long long first;
    if (!PyArg_ParseTuple(args, "OLO", &bits, &first, &made)) return nullptr;
    TORCH_CHECK_TYPE(THPVariable_Check(bits) && THPVariable_Check(made), "unpack_bits: not tensors");
    const Tensor from = THPVariable_Unpack(bits), to = THPVariable_Unpack(made);
    TORCH_CHECK(
        from.is_cpu() && from.is_contiguous() && from.scalar_type() == at::kByte && to.is_contiguous() &&
            one_of(to.scalar_type()) && first >= 0 && first + to.numel() <= from.numel() * 8,
        "unpack_bits: sizes or types do not fit");
    {
        pybind11::gil_scoped_release released;
        unpack_tensor(from.const_data_ptr<uint8_t>(), first, to);
    }
    Py_RETURN_NONE;
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
    {"run", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(run)), METH_FASTCALL, "Run, and note for backward."},
    {"pack_bits", pack_bits, METH_O, "Bits of a tensor of zeros and ones."},
    {"unpack_bits", unpack_bits, METH_VARARGS, "Zeros and ones of bits."},
    {"empty_pool", empty_pool, METH_NOARGS, "Give back what is kept; its bytes."},
    {"pool_bytes", pool_bytes, METH_NOARGS, "Bytes kept to be handed out again."},
    {"pool_limit", pool_limit, METH_O, "Keep at most so many bytes."},
    {nullptr, nullptr, 0, nullptr},
};

static PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "neurodsl_native", nullptr, -1, METHODS, nullptr, nullptr, nullptr, nullptr};

}  // namespace neurodsl

PyMODINIT_FUNC PyInit_neurodsl_native() { return PyModule_Create(&neurodsl::MODULE); }
