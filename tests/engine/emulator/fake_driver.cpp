// A libcuda.so.1 with one GPU on the host: memory is the host's, a launch goes to an emulated kernel, and what a real
// driver would refuse is refused. Lets the engine's way through cuda-bindings be tested without a GPU.
// Environment: FAKE_GPU = works | none | old | full, FAKE_KERNEL = the emulated kernel, FAKE_BLOCKS, FAKE_THREADS = its layout.
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string>

typedef unsigned long long Pointer;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500 };
static int shared_allowed = 48 * 1024, cluster16_allowed, current;
static bool mode(const char *name) { return name == std::string(getenv("FAKE_GPU") ?: "works"); }
static unsigned setting(const char *name) { return atoi(getenv(name)); }

extern "C" {
int cuInit(unsigned) { return SUCCESS; }
int cuDeviceGetCount(int *n) { *n = mode("none") ? 0 : 1; return SUCCESS; }
int cuDeviceGet(int *device, int) { *device = 0; return SUCCESS; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
  switch (attribute) {
    case 16: *value = 132; return SUCCESS;                  // multiprocessors
    case 75: *value = mode("old") ? 7 : 9; return SUCCESS;  // compute capability
    case 76: *value = mode("old") ? 5 : 0; return SUCCESS;
    case 97: *value = 232448; return SUCCESS;               // shared memory of a block
  }
  return INVALID_VALUE;
}
int cuDevicePrimaryCtxRetain(void **context, int) { *context = &current; return SUCCESS; }
int cuCtxSetCurrent(void *context) { current = context == &current; return SUCCESS; }
int cuCtxSynchronize() { return SUCCESS; }
int cuModuleLoadData(void **module, const void *image) {
  if (!current) return INVALID_CONTEXT;
  *module = dlopen(getenv("FAKE_KERNEL"), RTLD_NOW);
  return *module && !memcmp(image, "\x7f" "ELF", 4) ? SUCCESS : INVALID_VALUE;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
  *function = dlsym(module, "emulate");
  return *function && !strcmp(name, "wavenet") ? SUCCESS : INVALID_VALUE;
}
int cuFuncSetAttribute(void *, int attribute, int value) {
  if (attribute == 8) shared_allowed = value;
  if (attribute == 14) cluster16_allowed = value;
  return SUCCESS;
}
int cuMemAlloc_v2(Pointer *pointer, size_t n) {
  if (!current) return INVALID_CONTEXT;
  *pointer = mode("full") && n > 10000 ? 0 : (Pointer)aligned_alloc(256, (n + 255) / 256 * 256);
  return *pointer ? SUCCESS : OUT_OF_MEMORY;
}
int cuMemFree_v2(Pointer pointer) { free((void *)pointer); return SUCCESS; }
int cuMemcpyHtoD_v2(Pointer to, const void *from, size_t n) { memcpy((void *)to, from, n); return SUCCESS; }
int cuMemcpyDtoH_v2(void *to, Pointer from, size_t n) { memcpy(to, (void *)from, n); return SUCCESS; }
int cuMemsetD8_v2(Pointer to, unsigned char value, size_t n) { memset((void *)to, value, n); return SUCCESS; }
int cuLaunchKernel(void *function, unsigned grid, unsigned, unsigned, unsigned threads, unsigned, unsigned,
                   unsigned shared, void *, void **arguments, void **) {
  const unsigned blocks = setting("FAKE_BLOCKS");
  if (grid % blocks || threads != setting("FAKE_THREADS") || (int)shared > shared_allowed) return INVALID_VALUE;
  if (blocks > 8 && !cluster16_allowed) return INVALID_VALUE;
  return ((int (*)(void *, int, unsigned long long))function)(arguments[0], grid / blocks, 1) ? SUCCESS : INVALID_VALUE;
}
int cuGetErrorString(int error, const char **said) {
  *said = error == OUT_OF_MEMORY ? "out of memory" : "invalid argument";
  return SUCCESS;
}
// Newer cuda-bindings ask for every function by name; as a driver does, this hands out the latest version of it.
int cuGetProcAddress_v2(const char *name, void **found, int, unsigned long long, int *status) {
  Dl_info own;
  dladdr((void *)cuInit, &own);
  void *self = dlopen(own.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  *found = dlsym(self, (std::string(name) + "_v2").c_str());
  if (!*found) *found = dlsym(self, name);
  if (status) *status = *found ? 0 : 1;
  return *found ? SUCCESS : NOT_FOUND;
}
}
