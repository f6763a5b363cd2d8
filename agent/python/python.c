/* The walker's object: attach, reset, what it has counted. */
#include <stdlib.h>

#include "base/map.h"
#include "internal.h"
#include "steps.h"
#include "trail.h"

#define PST_VERDICT(id, word, meaning) {word, meaning},
static const struct {
    const char *word, *meaning;
} verdicts[] = {
#include "python/verdict.def"
};
#undef PST_VERDICT

const char *pst_verdict_word(enum pst_verdict verdict)
{
    return verdict < PST_VERDICT_COUNT ? verdicts[verdict].word : "unknown";
}

const char *pst_verdict_meaning(enum pst_verdict verdict)
{
    return verdict < PST_VERDICT_COUNT ? verdicts[verdict].meaning : "unknown";
}

struct pst_python *pst_python_free(struct pst_python *python)
{
    if (!python)
        return NULL;
    pst_second_free(python);
    pst_threads_free(python);
    pst_details_free(python);
    pst_codes_free(python->codes);
    pst_steps_free(python->steps);
    pst_map_free(python->copies);
    if (python->own_scratch)
        pst_py_scratch_free(python->scratch);
    free(python->threads);
    free(python->interps);
    free(python->out_threads);
    free(python->out_frames);
    free(python->out_places);
    pst_trail_free(python->trail);
    free(python);
    return NULL;
}

void pst_python_use_scratch(struct pst_python *python, struct pst_py_scratch *scratch)
{
    if (python->own_scratch)
        pst_py_scratch_free(python->scratch);
    python->own_scratch = false;
    python->scratch = scratch;
    if (python->second)
        pst_python_use_scratch(python->second, scratch);
}

enum pst_verdict pst_python_attach(struct pst_memory *memory, const struct pst_runtime *runtime,
                                   struct pst_python **ret)
{
    struct pst_layout layout;
    struct pst_spans spans;

    pst_memory_budget(memory, PST_MAX_TARGET_SAMPLE_BYTES, PST_MAX_SAMPLE_READS);
    enum pst_verdict verdict = pst_layout_load(memory, runtime, &layout);
    if (verdict == PST_V_OK)
        verdict = pst_layout_check(&layout, &spans);
    if (verdict != PST_V_OK)
        return verdict;
    struct pst_python *python = calloc(1, sizeof(*python));
    if (!python)
        return PST_V_NO_MEMORY;
    python->memory = memory;
    python->runtime = *runtime;
    python->layout = layout;
    python->spans = spans;
    /* Locals and temporaries of a caller tell one round of a loop from the next. */
    python->frame_bytes = layout.frame.size + PST_FRAME_WORDS * 8;
    if (python->frame_bytes < spans.frame_len)
        python->frame_bytes = spans.frame_len;
    python->codes = pst_codes_new(memory, &layout, &spans, runtime->code_type);
    if (!python->codes) {
        pst_python_free(python);
        return PST_V_NO_MEMORY;
    }
    verdict = pst_threads_refresh(python);
    if (verdict == PST_V_OK)
        verdict = pst_layout_prove(python);
    if (verdict != PST_V_OK) {
        pst_python_free(python);
        return verdict;
    }
    *ret = python;
    return PST_V_OK;
}

void pst_python_reset(struct pst_python *python)
{
    if (python->second)
        pst_python_reset(python->second);
    pst_threads_free(python);
    python->jit = false;
    pst_details_reset(python);
    pst_codes_reset(python->codes);
    if (python->copies)
        pst_map_clear(python->copies);
}

void pst_python_forget_codes(struct pst_python *python)
{
    if (python->second)
        pst_python_forget_codes(python->second);
    pst_details_reset(python); /* by their ids */
    pst_codes_reset(python->codes);
}

size_t pst_python_code_bytes(const struct pst_python *python)
{
    return pst_codes_bytes(python->codes) +
           (python->second ? pst_codes_bytes(python->second->codes) : 0);
}

const struct pst_py_code *pst_python_code(const struct pst_python *python, uint32_t code)
{
    if (!python->second)
        return pst_publics_get(pst_codes_publics(python->codes), code);
    return pst_publics_get(pst_codes_publics((code & 1 ? python->second : python)->codes),
                           code >> 1);
}

uint32_t pst_python_code_count(const struct pst_python *python)
{
    uint32_t count = pst_publics_count(pst_codes_publics(python->codes));

    if (!python->second)
        return count;
    uint32_t other = pst_publics_count(pst_codes_publics(python->second->codes));
    return 2 * (count > other ? count : other);
}

uint32_t pst_python_hexversion(const struct pst_python *python)
{
    return python->runtime.hexversion;
}

bool pst_python_unverified(const struct pst_python *python)
{
    return python->layout.unverified || (python->second && python->second->layout.unverified);
}

void pst_python_stats(const struct pst_python *python, struct pst_py_stats *ret)
{
    *ret = python->stats;
    if (!python->second)
        return;
    const struct pst_py_stats *other = &python->second->stats;
    ret->stacks += other->stacks;
    ret->retries += other->retries;
    ret->overlong += other->overlong;
    ret->trimmed += other->trimmed;
    ret->truncated += other->truncated;
    ret->code_hits += other->code_hits;
    ret->code_misses += other->code_misses;
    for (int i = 0; i < PST_VERDICT_COUNT; i++)
        ret->verdicts[i] += other->verdicts[i];
}

void pst_python_disable_validation(struct pst_python *python)
{
    python->validation_off = true;
}

bool pst_python_gil_off(const struct pst_python *python)
{
    for (uint32_t i = 0; i < python->interp_count; i++) {
        if (!python->interps[i].gil_off)
            return false;
    }
    if (python->second && !pst_python_gil_off(python->second))
        return false;
    return python->interp_count > 0;
}
