/* fuzz: python target base */
/* Any bytes as the memory of a CPython that goes on while it is read: the first byte chooses the
 * version, the next IMAGE_BYTES lie at a fixed address, with _PyRuntime (before 3.7 interp_head) at
 * their start, and the rest says what is written into them and when. Attach, samples, names,
 * variables and environment must all end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "python/python.h"
#include "python/values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    BASE = 0x10000,
    IMAGE_BYTES = 0x4000,
    CHANGE_BYTES = 12, /* pieces read since the last change, place, word */
    FRAMES_SHOWN = 8,
    VERSION_MASK = 0x1f,
    SECOND = 0x20, /* the same bytes are another runtime, too */
    NARROW = 0x40,
    FREE_THREADED = 0x80,
};

/* Appended to, never reordered: the corpus counts on the places. */
static const uint32_t versions[] = {0x030800f0, 0x030900f0, 0x030a00f0, 0x030b00f0, 0x030c00f0,
                                    0x030d00f0, 0x030e00f0, 0x030f00f0, 0x020700f0, 0x030200f0,
                                    0x030300f0, 0x030400f0, 0x030500f0, 0x030600f0, 0x030700f0,
                                    0x020600f0, 0x031000f0};

struct target {
    unsigned char image[IMAGE_BYTES];
    size_t size;
    const uint8_t *script;
    size_t script_left;
    unsigned pieces; /* since the last change */
};

static void go_on(void *context)
{
    struct target *target = context;

    target->pieces++;
    while (target->script_left >= CHANGE_BYTES) {
        uint16_t wait, place;
        memcpy(&wait, target->script, sizeof(wait));
        memcpy(&place, target->script + 2, sizeof(place));
        if (target->pieces < wait)
            return;
        if (place <= target->size && target->size - place >= 8)
            memcpy(target->image + place, target->script + 4, 8);
        target->script += CHANGE_BYTES;
        target->script_left -= CHANGE_BYTES;
        target->pieces = 0;
    }
}

static bool secret(void *context, struct pst_str name)
{
    return name.len % 7 == 3;
}

static void show(struct pst_python *python, const struct pst_py_sample *sample)
{
    static const struct pst_py_value_options options = {
        .still = true, .chars = 64, .secret = secret};
    struct pst_py_variables variables;

    for (size_t i = 0; i < sample->frame_count && i < FRAMES_SHOWN; i++) {
        if (pst_python_variables(python, i, i == 0, &options, &variables) == 0)
            pst_py_variables_done(&variables);
    }
}

static void look(struct pst_python *python)
{
    struct pst_py_sample sample;
    struct pst_py_stats stats;
    struct pst_str name;
    char value[64];

    pst_python_keep_places(python);
    pst_python_name_classes(python, true);
    for (int i = 0; i < 4; i++) {
        if (pst_python_sample(python, NULL, NULL, &sample) != PST_V_OK)
            continue;
        for (size_t k = 0; k < sample.thread_count; k++) {
            const struct pst_py_thread *thread = &sample.threads[k];
            if (thread->first_frame + thread->frame_count > sample.frame_count)
                abort();
            for (uint32_t f = 0; f < thread->frame_count; f++) {
                if (!pst_python_code(python, sample.frames[thread->first_frame + f].code))
                    abort();
            }
            (void)pst_python_thread_name(python, thread->tstate, &name);
        }
        show(python, &sample);
    }
    (void)pst_python_environ(python, "HOME", value, sizeof(value));
    pst_python_stats(python, &stats);
    pst_python_reset(python);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_runtime runtime = {.runtime = BASE};
    struct pst_python *python;
    struct target target = {.size = size - 1};

    if (size < 2)
        return 0;
    if (target.size > IMAGE_BYTES) {
        target.size = IMAGE_BYTES;
        target.script = data + 1 + IMAGE_BYTES;
        target.script_left = size - 1 - IMAGE_BYTES;
    }
    memcpy(target.image, data + 1, target.size);
    runtime.hexversion =
        versions[(data[0] & VERSION_MASK) % (sizeof(versions) / sizeof(versions[0]))];
    runtime.unicode_width = data[0] & NARROW ? 2 : 4;
    if (runtime.hexversion < 0x03070000)
        runtime = (struct pst_runtime){.hexversion = runtime.hexversion,
                                       .unicode_width = runtime.unicode_width,
                                       .interp_head = BASE,
                                       .tstate_current = BASE + 8};
    runtime.free_threaded = data[0] & FREE_THREADED;
    struct pst_memory *memory = pst_memory_new_buffer(BASE, target.image, target.size);
    if (memory)
        pst_memory_before_piece(memory, go_on, &target);
    if (memory && pst_python_attach(memory, &runtime, &python) == PST_V_OK) {
        if (data[0] & SECOND)
            (void)pst_python_attach_second(python, &runtime);
        look(python);
        pst_python_free(python);
    }
    pst_memory_free(memory);
    return 0;
}
