// A CUDA driver without a GPU: the functions of the driver that neurodsl calls, under their names. Each call is recorded,
// refused where the real driver would refuse it, and a kernel runs at once on the host, from a library that the test has
// registered for its image (numerics/cuda_shim). Device pointers are host pointers.
//
// Functions named fake_cuda_… are for the tests: faked.py calls them.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace {

enum Status {
    success = 0, invalid_value = 1, out_of_memory = 2, not_initialized = 3, invalid_device = 101, invalid_image = 200,
    invalid_context = 201, no_binary = 209, invalid_handle = 400, not_found = 500, capture_unsupported = 900,
};

struct Module;

struct Context {
    int ordinal = 0, retained = 0;
};

struct Function {
    Module* module = nullptr;
    std::string name;
};

struct Image {
    std::string bytes, library;
    int capability = 0;  // 90: a cubin for 9.0; 0: runs everywhere
};

struct Module {
    Context* context = nullptr;
    void* library = nullptr;
    std::map<std::string, Function> functions;
};

struct Device {
    Context context;
    int capability = 80;
};

std::mutex mutex;
std::vector<Device> devices(1);
std::vector<Image> images;
std::vector<Module*> modules;
std::map<std::string, std::string> types;      // of a kernel's arguments, a letter each
std::map<std::string, int> failures;           // the status that the next call of a function has
std::map<const void*, int> devices_of_streams;
std::map<const void*, bool> captured;
std::string calls;
int driver_version = 13000;
bool initialised = false, runs = true, loads_under_capture = true;

thread_local std::vector<Context*> stack;
thread_local int capture_mode = 0;  // global

std::string quoted(const std::string& text) {
    std::string made = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') made += '\\';
        made += c == '\n' ? ' ' : c;
    }
    return made + "\"";
}

// Records a call; `more` is the rest of its JSON object. The status is that which a test has asked for, if it has.
int record(const std::string& name, const std::string& more = "") {
    const auto thread = static_cast<unsigned long>(gettid());
    calls += (calls.empty() ? "" : ",\n") + ("{\"call\": " + quoted(name)) + ", \"thread\": " + std::to_string(thread) +
             (more.empty() ? "" : ", " + more) + "}";
    if (auto found = failures.find(name); found != failures.end()) {
        const int status = found->second;
        failures.erase(found);
        return status;
    }
    return initialised || name == "cuInit" ? success : not_initialized;
}

std::string number(const char* name, long long value) { return quoted(name) + ": " + std::to_string(value); }

bool is_captured() {
    for (auto& [stream, yes] : captured)
        if (yes) return true;
    return false;
}

Context* current() { return stack.empty() ? nullptr : stack.back(); }

std::string value_of(char type, const void* where) {
    char text[64];
    switch (type) {
        case 'P': std::snprintf(text, sizeof text, "%llu", *static_cast<const unsigned long long*>(where)); break;
        case 'f': std::snprintf(text, sizeof text, "%.9g", *static_cast<const float*>(where)); break;
        case 'd': std::snprintf(text, sizeof text, "%.17g", *static_cast<const double*>(where)); break;
        case 'i': std::snprintf(text, sizeof text, "%d", *static_cast<const int32_t*>(where)); break;
        default: std::snprintf(text, sizeof text, "%lld", static_cast<long long>(*static_cast<const int64_t*>(where)));
    }
    return std::string(text) == "inf" ? "1e999" : text;
}

bool same(const Image& image, const char* given) {
    for (std::size_t place = 0; place < image.bytes.size(); ++place)
        if (given[place] != image.bytes[place]) return false;
    return true;
}

void say(const char* text, unsigned count, const int* options, void** values) {
    for (unsigned place = 0; place + 1 < count; ++place)
        if (options[place] == 5) std::snprintf(static_cast<char*>(values[place]), std::size_t(values[place + 1]), "%s", text);
}

}  // namespace

extern "C" {

// --- for the tests

void fake_cuda_reset(int count, int capability) {
    const std::lock_guard lock(mutex);
    devices.assign(count, {});
    for (int ordinal = 0; ordinal < count; ++ordinal) devices[ordinal] = {{ordinal, 0}, capability};
    images.clear();
    types.clear();
    failures.clear();
    devices_of_streams.clear();
    captured.clear();
    calls.clear();
    stack.clear();
    initialised = false;
    runs = loads_under_capture = true;
    capture_mode = 0;
}

void fake_cuda_capability(int ordinal, int capability) { devices[ordinal].capability = capability; }
void fake_cuda_run_kernels(int yes) { runs = yes; }
void fake_cuda_load_under_capture(int yes) { loads_under_capture = yes; }
void fake_cuda_fail(const char* call, int status) { failures[call] = status; }
void fake_cuda_stream(const void* stream, int ordinal) { devices_of_streams[stream] = ordinal; }
void fake_cuda_capture(const void* stream, int yes) { captured[stream] = yes; }
void fake_cuda_types(const char* kernel, const char* letters) { types[kernel] = letters; }
void fake_cuda_clear() { calls.clear(); }

void fake_cuda_image(const char* bytes, std::size_t size, const char* library, int capability) {
    images.push_back({std::string(bytes, size), library, capability});
}

const char* fake_cuda_calls() {
    static std::string text;
    const std::lock_guard lock(mutex);
    text = "[" + calls + "]";
    return text.c_str();
}

// --- the driver

int cuInit(unsigned) {
    const std::lock_guard lock(mutex);
    const int status = record("cuInit");
    initialised = initialised || !status;
    return status;
}

int cuDriverGetVersion(int* version) {
    *version = driver_version;
    return success;
}

int cuDeviceGetCount(int* count) {
    *count = int(devices.size());
    return success;
}

int cuDeviceGet(int* device, int ordinal) {
    const std::lock_guard lock(mutex);
    if (const int status = record("cuDeviceGet", number("ordinal", ordinal))) return status;
    *device = ordinal;
    return ordinal < 0 || ordinal >= int(devices.size()) ? invalid_device : success;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
    const int capability = devices[device].capability;
    *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : 0;
    return success;
}

int cuDevicePrimaryCtxRetain(Context** context, int device) {
    const std::lock_guard lock(mutex);
    if (const int status = record("cuDevicePrimaryCtxRetain", number("device", device))) return status;
    *context = &devices[device].context;
    ++(*context)->retained;
    return success;
}

int cuDevicePrimaryCtxRelease_v2(int device) {
    const std::lock_guard lock(mutex);
    --devices[device].context.retained;
    return record("cuDevicePrimaryCtxRelease_v2", number("device", device));
}

int cuCtxGetCurrent(Context** context) {
    *context = current();
    return initialised ? success : not_initialized;
}

int cuCtxPushCurrent_v2(Context* context) {
    const std::lock_guard lock(mutex);
    if (const int status = record("cuCtxPushCurrent_v2", number("device", context->ordinal))) return status;
    stack.push_back(context);
    return success;
}

int cuCtxPopCurrent_v2(Context** context) {
    const std::lock_guard lock(mutex);
    if (stack.empty()) return invalid_context;
    *context = current();
    stack.pop_back();
    return record("cuCtxPopCurrent_v2", number("device", (*context)->ordinal));
}

int cuThreadExchangeStreamCaptureMode(int* mode) {
    std::swap(*mode, capture_mode);
    return success;
}

int cuStreamIsCapturing(const void* stream, int* status) {
    *status = captured[stream];
    return success;
}

int cuModuleLoadDataEx(Module** module, const char* image, unsigned count, int* options, void** values) {
    const std::lock_guard lock(mutex);
    const int device = current() ? current()->ordinal : -1;
    if (const int status = record("cuModuleLoadDataEx", number("device", device))) return status;
    if (!current()) return invalid_context;
    if (is_captured() && (capture_mode != 2 || !loads_under_capture)) return capture_unsupported;
    bool known = false;
    for (const Image& one : images) {
        if (!same(one, image)) continue;
        known = true;
        if (one.capability && one.capability != devices[device].capability) continue;
        Module* made = new Module{current(), nullptr, {}};
        if (!one.library.empty()) made->library = dlopen(one.library.c_str(), RTLD_NOW | RTLD_LOCAL);
        modules.push_back(made);
        *module = made;
        return success;
    }
    say(known ? "the fake driver: nothing for this device" : "the fake driver: an image that no test has registered",
        count, options, values);
    return known ? no_binary : invalid_image;
}

int cuModuleUnload(Module*) {
    const std::lock_guard lock(mutex);
    return record("cuModuleUnload");
}

int cuModuleGetFunction(Function** function, Module* module, const char* name) {
    const std::lock_guard lock(mutex);
    if (const int status = record("cuModuleGetFunction", quoted("kernel") + ": " + quoted(name))) return status;
    if (current() != module->context) return invalid_context;
    if (module->library && !dlsym(module->library, ("shim_launch_" + std::string(name)).c_str())) return not_found;
    *function = &module->functions.emplace(name, Function{module, name}).first->second;
    return success;
}

int cuFuncLoad(Function*) {
    const std::lock_guard lock(mutex);
    return record("cuFuncLoad");
}

int cuLaunchKernel(Function* function, unsigned x, unsigned y, unsigned z, unsigned block, unsigned block_y,
                   unsigned block_z, unsigned shared, const void* stream, void** arguments, void**) {
    const std::lock_guard lock(mutex);
    const int device = current() ? current()->ordinal : -1;
    std::string more = quoted("kernel") + ": " + quoted(function->name) + ", " + number("device", device) + ", " +
                       number("grid", x) + ", " + number("block", block) + ", " + number("shared", shared) + ", " +
                       number("stream", (long long)stream) + ", \"arguments\": [";
    const std::string& letters = types[function->name];
    for (std::size_t place = 0; place < letters.size(); ++place)
        more += (place ? ", " : "") + value_of(letters[place], arguments[place]);
    if (const int status = record("cuLaunchKernel", more + "]")) return status;
    if (current() != function->module->context) return invalid_context;
    if (auto found = devices_of_streams.find(stream); found != devices_of_streams.end() && found->second != device)
        return invalid_handle;
    if (!x || x > 0x7fffffffu || y != 1 || z != 1 || !block || block > 1024 || block_y != 1 || block_z != 1)
        return invalid_value;
    if (!runs || !function->module->library) return success;
    const auto run = (const char* (*)(unsigned, unsigned, unsigned, void**))dlsym(
        function->module->library, ("shim_launch_" + function->name).c_str());
    const char* fault = run(x, block, 0, arguments);
    if (fault) std::fprintf(stderr, "%s: %s\n", function->name.c_str(), fault);
    return fault ? 719 : success;
}

int cuGetErrorName(int status, const char** text) {
    static const std::map<int, const char*> names = {
        {invalid_value, "CUDA_ERROR_INVALID_VALUE"}, {out_of_memory, "CUDA_ERROR_OUT_OF_MEMORY"},
        {not_initialized, "CUDA_ERROR_NOT_INITIALIZED"}, {invalid_device, "CUDA_ERROR_INVALID_DEVICE"},
        {invalid_image, "CUDA_ERROR_INVALID_IMAGE"}, {invalid_context, "CUDA_ERROR_INVALID_CONTEXT"},
        {no_binary, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {invalid_handle, "CUDA_ERROR_INVALID_HANDLE"},
        {not_found, "CUDA_ERROR_NOT_FOUND"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"},
        {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"}, {capture_unsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}};
    const auto found = names.find(status);
    *text = found == names.end() ? nullptr : found->second;
    return found == names.end() ? invalid_value : success;
}

int cuGetErrorString(int status, const char** text) {
    static const std::map<int, const char*> texts = {
        {invalid_value, "invalid argument"}, {out_of_memory, "out of memory"},
        {not_initialized, "initialization error"}, {invalid_device, "invalid device ordinal"},
        {invalid_image, "device kernel image is invalid"}, {invalid_context, "invalid device context"},
        {no_binary, "no kernel image is available for execution on the device"},
        {invalid_handle, "invalid resource handle"}, {not_found, "named symbol not found"},
        {700, "an illegal memory access was encountered"}, {719, "unspecified launch failure"},
        {capture_unsupported, "operation not permitted when stream is capturing"}};
    const auto found = texts.find(status);
    *text = found == texts.end() ? nullptr : found->second;
    return found == texts.end() ? invalid_value : success;
}

}  // extern "C"
