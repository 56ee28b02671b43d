// A call as one node of PyTorch's graph.
#pragma once

#include <torch/csrc/Exceptions.h>
#include <torch/csrc/autograd/functions/basic_ops.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/python_variable.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <c10/core/impl/TorchDispatchModeTLS.h>

#include <memory>
#include <optional>

#include "plan.h"
#include "pool.h"

namespace neurodsl {

using torch::autograd::variable_list;

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
        for (Tensor& made : wanted)
            if (made.defined()) made.set_requires_grad(true);
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


// A call of fewer neuron-steps takes some microseconds: other threads may wait for the interpreter's lock meanwhile.
constexpr int64_t ALONE_BELOW = 1 << 15;

using SharedPlan = std::shared_ptr<const Plan>;

// The tensors of a call, each as it has to be, and whether backward may follow; false where the slower way has to be
// taken. `asked`: as the tensors say.
static inline bool read_tensors(
    const Plan& plan, PyObject* const* items, bool asked, Call& call, c10::SmallVector<Tensor, 24>& tensors, bool& keep) {
    for (int i = 0; i < plan.given(); ++i) {
        PyObject* item = items[i];
        if (item == nullptr || item == Py_None) {
            const int state = i - plan.inputs;
            if (state < 0 || state >= plan.states || !plan.optional[state]) return false;
            tensors.emplace_back();
            continue;
        }
        if (!THPVariable_Check(item)) return false;
        tensors.push_back(THPVariable_Unpack(item));
        const Tensor& tensor = tensors.back();
        if (i == 0) call.type = tensor.scalar_type();
        if (!fits(tensor, call.type)) return false;
        if (i < plan.inputs + plan.states) {
            const at::IntArrayRef wanted = i < plan.inputs ? tensors[0].sizes() : tensors[0].sizes().slice(1);
            if (tensor.sizes() != wanted) return false;
            if (i >= plan.inputs && (asked || keep) && tensor.is_inference()) return false;  // backward cannot keep it
        }
        keep = keep || (asked && tensor.requires_grad());
    }
    const Tensor& first = tensors[0];
    return first.dim() >= 2 && first.numel() && (call.type == at::kFloat || call.type == at::kDouble);
}

static inline void count(const Tensor& first, int64_t before, int64_t seed, Call& call) {
    call.shape.append(first.sizes().begin(), first.sizes().end());
    int64_t inner = 1;
    for (int64_t d = 3; d < first.dim(); ++d) inner *= first.size(d);
    const int64_t channels = first.dim() > 2 ? first.size(2) : 1;
    const int64_t found[6] = {first.size(0), first.numel() / first.size(0), before, seed, channels, inner};
    std::copy(found, found + 6, call.counts);
}

static inline Tensor empty_rows(const Kept& kept, const Call& call) {
    const int64_t rows = kept.rows(call.counts[0]);
    if (!rows) return {};
    c10::SmallVector<int64_t, 6> shape(call.shape);
    shape[0] = rows;
    return empty(shape, kept.half ? at::kBFloat16 : call.type);
}

static inline void note(
    const SharedPlan& held, Call&& call, const c10::SmallVector<Tensor, 24>& tensors) {
    const Plan& plan = *held;
    const int given = plan.given(), results = plan.results();
    auto node = c10::make_intrusive<FusedNode>();
    torch::autograd::edge_list edges;
    edges.reserve(given);
    for (int i = 0; i < given; ++i)
        edges.push_back(tensors[i].defined() ? torch::autograd::impl::gradient_edge(tensors[i]) : torch::autograd::Edge());
    node->set_next_edges(std::move(edges));
    node->plan = held;
    node->saved.reserve(given + plan.saved.size());
    for (int i = 0; i < given; ++i) node->saved.emplace_back(plan.kept[i] ? tensors[i] : Tensor(), false);
    for (size_t i = 0; i < plan.saved.size(); ++i) node->saved.emplace_back(tensors[given + results + i], false);
    for (int i = plan.inputs + plan.states; i < given; ++i) node->scalar_shapes.push_back(tensors[i].sizes().vec());
    node->call = std::move(call);
    for (int i = 0; i < results; ++i) torch::autograd::set_history(tensors[given + i], node);
}

// Run the kernels of a call whose numbers are set. The given tensors and then the results are in `tensors`; false where
// the slower way has to be taken.
static inline bool perform(
    const SharedPlan& held, PyObject* const* items, int64_t before, int64_t seed, bool asked, bool keep, Call&& call,
    c10::SmallVector<Tensor, 24>& tensors) {
    const Plan& plan = *held;
    if (c10::impl::TorchDispatchModeTLS::any_modes_set() ||
        c10::impl::tls_is_dispatch_key_included(c10::DispatchKey::FuncTorchDynamicLayerFrontMode))
        return false;
    if (!read_tensors(plan, items, asked, call, tensors, keep)) return false;
    count(tensors[0], before, seed, call);
    {
        std::optional<pybind11::gil_scoped_release> released;
        if (tensors[0].numel() >= ALONE_BELOW) released.emplace();
        at::AutoDispatchBelowADInplaceOrView below;
        for (int i = 0; i < plan.outputs; ++i) tensors.push_back(empty(call.sequence(), call.type));
        for (int i = 0; i < plan.states; ++i) tensors.push_back(empty(call.step(), call.type));
        for (int i = 0; i < plan.recorded; ++i) tensors.push_back(empty(call.sequence(), call.type));
        if (keep)
            for (const Kept& kept : plan.saved) tensors.push_back(empty_rows(kept, call));
        launch(keep ? plan.train : plan.forward, call, tensors.data());
    }
    if (keep) note(held, std::move(call), tensors);
    return true;
}

}  // namespace neurodsl
