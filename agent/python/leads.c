/* Follows leads. Knows nothing of what they mean; refuses places that cannot be pointers. */
#include "leads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS_MAX = PST_LEAD_STEPS + 1, /* each learns one more place of a chain at least */
    FAULTS_MAX = 64,                 /* places of one sample that turn out unmapped */
    PIECES_OF_LEAD = PST_LEAD_STEPS + 3,
    HEADER = PST_LEAD_STEPS, /* among its copies */
    AGAIN,
};

struct pst_leads {
    struct pst_lead *items;
    uint32_t count, cap;
    struct pst_piece *pieces;
    uint32_t *owners; /* which lead a piece belongs to */
    unsigned char *bytes;
    uint32_t piece_cap;
};

struct pst_leads *pst_leads_new(void)
{
    return calloc(1, sizeof(struct pst_leads));
}

struct pst_leads *pst_leads_free(struct pst_leads *leads)
{
    if (!leads)
        return NULL;
    free(leads->items);
    free(leads->pieces);
    free(leads->owners);
    free(leads->bytes);
    free(leads);
    return NULL;
}

void pst_leads_reset(struct pst_leads *leads)
{
    leads->count = 0;
}

struct pst_lead *pst_leads_at(struct pst_leads *leads, uint32_t i)
{
    return &leads->items[i];
}

uint32_t pst_leads_count(const struct pst_leads *leads)
{
    return leads->count;
}

struct pst_lead *pst_leads_add(struct pst_leads *leads)
{
    if (leads->count == PST_MAX_FRAME_LEADS)
        return NULL;
    if (leads->count == leads->cap) {
        uint32_t cap = leads->cap ? leads->cap * 2 : 32;
        struct pst_lead *items = realloc(leads->items, cap * sizeof(*items));
        if (!items)
            return NULL;
        leads->items = items;
        leads->cap = cap;
    }
    struct pst_lead *lead = &leads->items[leads->count++];
    *lead = (struct pst_lead){0};
    return lead;
}

static bool reserve(struct pst_leads *leads)
{
    uint32_t cap = leads->count * PIECES_OF_LEAD;

    if (cap <= leads->piece_cap)
        return true;
    struct pst_piece *pieces = realloc(leads->pieces, cap * sizeof(*pieces));
    if (pieces)
        leads->pieces = pieces;
    uint32_t *owners = realloc(leads->owners, cap * sizeof(*owners));
    if (owners)
        leads->owners = owners;
    unsigned char *bytes = realloc(leads->bytes, (size_t)cap * 8);
    if (bytes)
        leads->bytes = bytes;
    if (!pieces || !owners || !bytes)
        return false;
    leads->piece_cap = cap;
    return true;
}

/* Pieces of one reading: what each lead expects, then the headers of the frames. */
struct round {
    struct pst_leads *leads;
    uint32_t count;
};

static const unsigned char *add(struct round *round, uint32_t owner, uint64_t address)
{
    unsigned char *dst = round->leads->bytes + (size_t)round->count * 8;

    round->leads->owners[round->count] = owner;
    round->leads->pieces[round->count++] = (struct pst_piece){address, dst, sizeof(uint64_t)};
    return dst;
}

static void add_steps(struct round *round, uint32_t i)
{
    struct pst_lead *lead = &round->leads->items[i];

    for (int k = 0; k < lead->count; k++) {
        const struct pst_lead_step *step = &lead->steps[k];
        uint64_t base = lead->frame->address;
        lead->copies[k] = NULL;
        if (step->base != PST_LEAD_FRAME) {
            if (!(lead->known >> step->base & 1))
                continue;
            base = lead->words[step->base];
        }
        if (!pst_memory_plausible(base)) {
            lead->lost = true;
            return;
        }
        lead->copies[k] = add(round, i, base + step->offset);
    }
}

static void add_header(struct round *round, const struct pst_layout *l, uint32_t i)
{
    struct pst_lead *lead = &round->leads->items[i];

    lead->copies[HEADER] = add(round, i, lead->frame->address + l->frame.code);
    (void)add(round, i, lead->frame->address + l->frame.previous);
    lead->copies[AGAIN] = add(round, i, lead->frame->address + lead->steps[0].offset);
}

static uint32_t fill(struct pst_leads *leads, const struct pst_layout *l)
{
    struct round round = {leads, 0};

    for (uint32_t i = 0; i < leads->count; i++) {
        if (!leads->items[i].settled && !leads->items[i].lost)
            add_steps(&round, i);
    }
    for (uint32_t i = 0; i < leads->count; i++) {
        if (!leads->items[i].settled && !leads->items[i].lost)
            add_header(&round, l, i);
    }
    return round.count;
}

/* What the last sample saw may be gone: the chain is followed from its beginning, once. */
static void expected_wrongly(struct pst_lead *lead)
{
    lead->lost = lead->known == 0;
    lead->known = 0;
    lead->copies[HEADER] = NULL;
}

/* A place that is not mapped costs its own lead. False: nothing more can be read. */
static bool read_pieces(struct pst_leads *leads, struct pst_memory *memory, uint32_t count)
{
    uint32_t first = 0;

    for (int faults = 0; first < count && faults <= FAULTS_MAX; faults++) {
        size_t done = 0;
        int error = pst_memory_readv(memory, leads->pieces + first, count - first, &done);
        if (error == 0)
            return true;
        if (error != -EFAULT)
            return false;
        first += (uint32_t)done;
        expected_wrongly(&leads->items[leads->owners[first++]]);
    }
    return first == count;
}

static bool frame_stands(const struct pst_lead *lead, const struct pst_layout *l)
{
    const unsigned char *header = lead->copies[HEADER];
    uint64_t code = pst_word(header, 0);

    if (l->tagged)
        code &= ~UINT64_C(3);
    if (lead->still && pst_word(lead->copies[0], 0) != pst_word(lead->copies[AGAIN], 0))
        return false;
    return code == lead->frame->code && pst_word(header, 8) == lead->frame->previous;
}

/* A word counts where its place was the one that its base just read names. */
static void take(struct pst_lead *lead, const struct pst_layout *l)
{
    uint8_t valid = 0;
    uint64_t words[PST_LEAD_STEPS] = {0};

    if (lead->lost || !lead->copies[HEADER])
        return;
    if (!frame_stands(lead, l)) {
        lead->lost = true;
        return;
    }
    for (int k = 0; k < lead->count; k++) {
        int base = lead->steps[k].base;
        bool placed =
            base == PST_LEAD_FRAME || ((valid >> base & 1) && words[base] == lead->words[base]);
        if (!placed || !lead->copies[k])
            continue;
        words[k] = pst_word(lead->copies[k], 0);
        valid |= (uint8_t)(1u << k);
    }
    memcpy(lead->words, words, sizeof(words));
    lead->known = valid;
    lead->settled = valid == (1u << lead->count) - 1;
}

void pst_leads_read(struct pst_leads *leads, struct pst_memory *memory,
                    const struct pst_layout *layout)
{
    if (!reserve(leads))
        return;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        uint32_t count = fill(leads, layout);
        if (count == 0 || !read_pieces(leads, memory, count))
            return;
        for (uint32_t k = 0; k < leads->count; k++) {
            if (!leads->items[k].settled)
                take(&leads->items[k], layout);
        }
    }
}
