/* Steps that the target's program has been proven to take: this code, at this instruction, calls
 * that code. A bounded set that forgets; what it holds was proven, what it lacks may be true. */
#ifndef PST_PYTHON_STEPS_H
#define PST_PYTHON_STEPS_H

#include <stdbool.h>
#include <stdint.h>

struct pst_steps;

struct pst_step {
    uint64_t caller, instr, callee; /* addresses of code objects; instr as the frame has it */
};

struct pst_steps *pst_steps_new(void);
struct pst_steps *pst_steps_free(struct pst_steps *steps);
/* Forgets all when code objects may have changed their meaning since it was last called. */
void pst_steps_epoch(struct pst_steps *steps, uint64_t epoch);
/* One more sample of the target's is about to be remembered: what long ago proved a step does no
 * more. */
void pst_steps_sample(struct pst_steps *steps);
/* The step was in every copy of that sample. So many such samples prove it. */
void pst_steps_seen(struct pst_steps *steps, const struct pst_step *step);
/* The target's own words prove it. */
void pst_steps_prove(struct pst_steps *steps, const struct pst_step *step);
bool pst_steps_proven(const struct pst_steps *steps, const struct pst_step *step);

#endif
