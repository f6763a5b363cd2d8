/* Whether a layout is that of the interpreter in front of us, asked once at attach. The code type
 * lists its own members with their offsets: a build with other structures (debug builds that trace
 * references, patched interpreters) contradicts it there. A layout that was proven on no build of
 * its version must besides bring home a whole stack. */
#include <string.h>

#include "internal.h"

enum {
    MEMBER_BYTES = 40, /* name, type, offset, flags, doc */
    MEMBERS_MAX = 40,
    MEMBER_OFFSET_AT = 16,
    MEMBERS_AFTER_NAME = 216, /* from tp_name to tp_members */
    NAME_BYTES = 24,
    TRIES = 20,
};

struct member {
    const char *name;
    uint32_t offset;
};

enum answer { ANSWER_UNKNOWN, ANSWER_SAME, ANSWER_OTHER };

static enum answer compare(const struct member *expected, size_t count, const char *name,
                           uint64_t offset)
{
    for (size_t i = 0; i < count; i++) {
        if (expected[i].offset != 0 && strcmp(expected[i].name, name) == 0)
            return expected[i].offset == offset ? ANSWER_SAME : ANSWER_OTHER;
    }
    return ANSWER_UNKNOWN;
}

/* The number of members that agree; -1 when one contradicts. */
static int agreeing(struct pst_memory *memory, const struct pst_layout *l, uint64_t code_type)
{
    const struct member expected[] = {
        {"co_name", l->code.name},
        {"co_filename", l->code.filename},
        {"co_firstlineno", l->code.first_line},
        {"co_flags", l->code.flags},
        {"co_argcount", l->code.argcount},
        {"co_qualname", l->code.qualname},
        {l->lines_kind >= PST_LINES_RANGES ? "co_linetable" : "co_lnotab", l->code.lines},
        {"co_code", l->code.units ? 0 : l->code.bytecode},
    };
    unsigned char member[MEMBER_BYTES];
    char name[NAME_BYTES];
    uint64_t at;
    int agree = 0;

    if (code_type == 0 ||
        pst_memory_u64(memory, code_type + l->object.type_name + MEMBERS_AFTER_NAME, &at) < 0 ||
        !pst_memory_plausible(at))
        return 0;
    for (int i = 0; i < MEMBERS_MAX; i++, at += MEMBER_BYTES) {
        if (pst_memory_read(memory, at, member, sizeof(member)) < 0 || pst_word(member, 0) == 0 ||
            pst_memory_read(memory, pst_word(member, 0), name, sizeof(name) - 1) < 0)
            break;
        name[sizeof(name) - 1] = '\0';
        switch (
            compare(expected, PST_ARRAY_SIZE(expected), name, pst_word(member, MEMBER_OFFSET_AT))) {
        case ANSWER_SAME:
            agree++;
            break;
        case ANSWER_OTHER:
            return -1;
        case ANSWER_UNKNOWN:
            break;
        }
    }
    return agree;
}

static bool names_make_sense(const struct pst_python *python, const struct pst_py_sample *sample,
                             const struct pst_py_thread *thread)
{
    for (uint32_t i = 0; i < thread->frame_count; i++) {
        const struct pst_py_code *code =
            pst_python_code(python, sample->frames[thread->first_frame + i].code);
        if (!code || code->name.len == 0 || code->filename.len == 0 || code->first_line < 0)
            return false;
    }
    return true;
}

static enum pst_verdict prove_by_walking(struct pst_python *python)
{
    struct pst_py_sample sample;
    bool failed = false;

    for (int i = 0; i < TRIES; i++) {
        enum pst_verdict verdict = pst_python_sample(python, NULL, NULL, &sample);
        if (verdict != PST_V_OK)
            return verdict == PST_V_POINTER || verdict == PST_V_CYCLE ? PST_V_LAYOUT : verdict;
        for (size_t k = 0; k < sample.thread_count; k++) {
            const struct pst_py_thread *thread = &sample.threads[k];
            if (thread->verdict != PST_V_OK)
                failed = true;
            else if (thread->frame_count > 0)
                return names_make_sense(python, &sample, thread) ? PST_V_OK : PST_V_LAYOUT;
        }
    }
    return failed ? PST_V_LAYOUT : PST_V_NOT_READY;
}

enum pst_verdict pst_layout_prove(struct pst_python *python)
{
    int agree = agreeing(python->memory, &python->layout, python->runtime.code_type);

    if (agree < 0)
        return PST_V_LAYOUT;
    return python->layout.unverified ? prove_by_walking(python) : PST_V_OK;
}
