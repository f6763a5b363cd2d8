/* Leads: chains of pointers that begin in a frame. Those of all frames of a sample are read in one
 * call, each along the places that its last reading predicts; what is read counts only when every
 * place was the predicted one and the frame's header, read after them, is still that of the walk.
 */
#ifndef PST_PYTHON_LEADS_H
#define PST_PYTHON_LEADS_H

#include "internal.h"

enum { PST_LEAD_STEPS = 5, PST_LEAD_FRAME = -1 };

struct pst_lead_step {
    int base; /* number of the step whose word is the address, or PST_LEAD_FRAME */
    uint32_t offset;
};

struct pst_lead {
    struct pst_raw_frame *frame;
    /* For whoever asks: which thread, which frame from its root, what for. */
    uint32_t thread, place, variable;
    uint8_t kind;
    struct pst_lead_step steps[PST_LEAD_STEPS];
    uint8_t count;
    uint8_t known; /* bit i: words[i] is what is expected there */
    bool still;    /* the first step's word has to be the same after all the others */
    bool settled;  /* words are what one reading found */
    bool lost;     /* the frame went on, or a place cannot be read */
    uint64_t words[PST_LEAD_STEPS];
    const unsigned char
        *copies[PST_LEAD_STEPS + 2]; /* of this reading; the header, the first again */
};

struct pst_leads;

struct pst_leads *pst_leads_new(void);
struct pst_leads *pst_leads_free(struct pst_leads *leads);
/* Forgets those of the sample before. */
void pst_leads_reset(struct pst_leads *leads);
/* Room for one more, zeroed, until the next add; NULL when there is none (PST_MAX_FRAME_LEADS). */
struct pst_lead *pst_leads_add(struct pst_leads *leads);
struct pst_lead *pst_leads_at(struct pst_leads *leads, uint32_t i);
uint32_t pst_leads_count(const struct pst_leads *leads);
/* Reads until each is settled or lost: one call where all is as predicted. */
void pst_leads_read(struct pst_leads *leads, struct pst_memory *memory,
                    const struct pst_layout *layout);

#endif
