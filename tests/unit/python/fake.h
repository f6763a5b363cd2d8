/* A seed of the fuzz corpus as the memory of a target, to be read whole or made to lie. */
#ifndef PST_TESTS_PYTHON_FAKE_H
#define PST_TESTS_PYTHON_FAKE_H

#include <stdio.h>
#include <string.h>

#include "python/python.h"

enum { BASE = 0x10000, SIZE = 0x4000 };

struct fake {
    unsigned char bytes[SIZE];
    struct pst_memory *memory;
    struct pst_python *python;
    uint32_t hexversion;
};

static inline void load(struct fake *fake, const char *name, uint32_t hexversion)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "../../fuzz/corpus/walk/%s", name);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    assert_int_not_equal(fgetc(in), EOF); /* the fuzzer's choice of version */
    assert_int_equal(fread(fake->bytes, 1, SIZE, in), SIZE);
    (void)fclose(in);
    fake->hexversion = hexversion;
    fake->memory = pst_memory_new_buffer(BASE, fake->bytes, SIZE);
    assert_non_null(fake->memory);
    fake->python = NULL;
}

static inline enum pst_verdict attach(struct fake *fake)
{
    struct pst_runtime runtime = {.runtime = BASE, .hexversion = fake->hexversion};

    if (fake->hexversion != 0 && fake->hexversion < 0x03070000)
        runtime = (struct pst_runtime){
            .interp_head = BASE, .tstate_current = BASE + 8, .hexversion = fake->hexversion};
    return pst_python_attach(fake->memory, &runtime, &fake->python);
}

static inline void done(struct fake *fake)
{
    pst_python_free(fake->python);
    pst_memory_free(fake->memory);
}

static inline void put(struct fake *fake, uint64_t address, uint64_t value)
{
    memcpy(fake->bytes + (address - BASE), &value, sizeof(value));
}

static inline struct pst_py_sample sampled(struct fake *fake)
{
    struct pst_py_sample sample;

    assert_int_equal(attach(fake), PST_V_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pst_python_sample(fake->python, NULL, NULL, &sample), PST_V_OK);
    assert_int_equal(sample.thread_count, 1);
    return sample;
}

#endif
