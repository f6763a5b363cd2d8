/* Where a CPython runtime lies in a process: what detection finds and the walker attaches to. */
#ifndef PST_TARGET_RUNTIME_H
#define PST_TARGET_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

struct pst_runtime {
    uint32_t
        hexversion; /* PY_VERSION_HEX; the release nibbles may be 0xf0 when only x.y.z is known */
    bool free_threaded;
    uint64_t runtime;        /* address of _PyRuntime (3.7+), 0 before */
    uint64_t interp_head;    /* address of the variable interp_head (<= 3.6), 0 else */
    uint64_t tstate_current; /* address of _PyThreadState_Current (<= 3.6), 0 else */
    uint64_t code_type;      /* address of PyCode_Type when .dynsym has it, else 0 */
    uint64_t unicode_type;   /* address of PyUnicode_Type when known, else 0 */
    uint8_t unicode_width;   /* 2.7 only: 2 or 4 */
    uint64_t image_start; /* lowest mapping of the image that holds the runtime, 0 when unknown */
};

#endif
