/* An LV2 instrument for tests: a tone, unless its mood makes it misbehave. The structures are those of lv2/core/lv2.h. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct { const char *uri; void *data; } Feature;
typedef struct Descriptor {
  const char *uri;
  void *(*instantiate)(const struct Descriptor *, double, const char *, const Feature *const *);
  void (*connect_port)(void *, uint32_t, void *);
  void (*activate)(void *);
  void (*run)(void *, uint32_t);
  void (*deactivate)(void *);
  void (*cleanup)(void *);
  const void *(*extension_data)(const char *);
} Descriptor;

typedef struct { const float *mood; const float *level; float *out; double phase, step; } Moody;
enum { CALM, NOT_FINITE, CRASHING, HANGING };

static void *instantiate(const Descriptor *d, double rate, const char *path, const Feature *const *features) {
  if (getenv("MOODY_WANTS_A_DISPLAY") && !getenv("DISPLAY")) return NULL;
  Moody *self = calloc(1, sizeof(Moody));
  self->step = 2 * M_PI * 440 / rate;
  return self;
}
static void connect_port(void *handle, uint32_t port, void *data) {
  Moody *self = handle;
  if (port == 0) self->mood = data;
  if (port == 1) self->level = data;
  if (port == 2) self->out = data;
}
static void run(void *handle, uint32_t count) {
  Moody *self = handle;
  switch ((int)floorf(*self->mood + 0.01f)) {
    case CRASHING: abort();
    case HANGING: for (;;) sleep(1);
    default: break;
  }
  for (uint32_t i = 0; i < count; i++) {
    self->out[i] = floorf(*self->mood + 0.01f) == NOT_FINITE ? NAN : *self->level * (float)sin(self->phase);
    self->phase += self->step;
  }
}
static void nothing(void *handle) { (void)handle; }
static const void *no_extension(const char *uri) { (void)uri; return NULL; }

static const Descriptor descriptor = {"http://synthproxy.test/moody", instantiate, connect_port, nothing, run, nothing, free, no_extension};

__attribute__((visibility("default"))) const Descriptor *lv2_descriptor(uint32_t index) {
  return index == 0 ? &descriptor : NULL;
}
