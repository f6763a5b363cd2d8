/* What the parts of a walk share: walk.c follows a chain, place.c finds frames in the copies of a
 * batch, frame.c reads what they say, settle.c decides what of a chain is kept. */
#ifndef PST_PYTHON_WALK_H
#define PST_PYTHON_WALK_H

#include "internal.h"

enum {
    PST_WALK_DEEPEST = PST_MAX_FRAMES_WALKED - 64
}; /* leaves room for what stands for the rest */

/* One way to read a batch: where the thread was at an instant, the copy that is walked, and the
 * copies on the other sides of the instant. */
struct pst_look {
    uint8_t instant, copy, others[2];
};

struct pst_walk {
    struct pst_python *python;
    struct pst_thread *thread;
    struct pst_raw_frame *raw;
    uint32_t count, cap;
    uint64_t base_frame;
    uint64_t newest_chunk, top;     /* of the data stack, as the thread state says */
    uint64_t first, current, where; /* the frame that ran when the thread state was read, that of
                                     * this look, and the address that said so */
    uint32_t met;
    uint32_t known_hint; /* where the next frame outside the data stack likely is */
    uint64_t on_stack;   /* the last frame of the data stack that the walk has; 0: none */
    const struct pst_look *look;
    enum pst_verdict verdict; /* where it is torn */
    bool below;               /* it begins below the frame that ran */
};

enum pst_place { PST_PLACE_FOUND, PST_PLACE_BEYOND, PST_PLACE_UNKNOWN };

struct pst_copies {
    const unsigned char *walked;
    const unsigned char *others[2]; /* may equal walked where there are fewer copies */
    uint32_t bytes;                 /* that each of them holds from here on */
    bool on_stack;
};

/* place.c: the copies of the frame at an address, as this look takes them; learns what the next
 * batch should hold. */
enum pst_place pst_place_find(struct pst_walk *walk, uint64_t address, struct pst_copies *ret);
struct pst_known *pst_place_known(struct pst_walk *walk, uint64_t address);
/* How often a frame outside the data stack that is `place`-th from the leaf is read. */
enum pst_reading pst_place_reading(const struct pst_walk *walk, uint32_t place);

/* frame.c: bytes that a frame of this code takes, variables and temporaries included; 0 while the
 * code is not known, and before 3.11. */
uint32_t pst_walk_frame_bytes(const struct pst_walk *walk, uint64_t code);
/* What the copies of a frame say. */
void pst_frame_load(const struct pst_layout *layout, uint64_t address,
                    const struct pst_copies *copies, struct pst_raw_frame *ret);
/* Whether the caller did nothing between the copies. */
bool pst_frame_stood_still(const struct pst_walk *walk, const struct pst_raw_frame *caller,
                           const struct pst_copies *copies);
/* Whether the frame's own word fits its place behind the frames that the walk has. */
bool pst_frame_state_fits(const struct pst_walk *walk, const struct pst_raw_frame *frame);

/* walk.c: the frame that the thread stood on at an instant of the batch. False when it cannot be
 * told. */
bool pst_walk_frame_at(const struct pst_walk *walk, unsigned instant, uint64_t *ret);

/* Follows the chain from walk->current as this look takes it. False when it is not whole. */
bool pst_walk_look(struct pst_walk *walk, const struct pst_look *look);

/* below.c: after the last try for a thread (PST_THREAD_DONE), what is proven of its stack without
 * the frames nearest the leaf: walked, or as it was. */
void pst_walk_below(struct pst_walk *walk);

/* settle.c: takes a chain that was followed to its root: walked, or pending for another try. */
void pst_walk_settle(struct pst_walk *walk);

/* above.c: what a frame of this code takes of the data stack; 0 while the code is not known, which
 * it is from the next sample on. */
uint32_t pst_walk_data_bytes(struct pst_walk *walk, uint64_t code);
/* What stood above the frame that is start-th from the leaf in the copy that was walked.
 * True when all of it is proven: then the chain is in `raw` from *start on. */
bool pst_walk_above(struct pst_walk *walk, uint32_t *start);
/* A generator that went on may have been left meanwhile and called from elsewhere: `start`, or the
 * one after it where that it is called from there is not proven. */
uint32_t pst_walk_called(struct pst_walk *walk, uint32_t start);
/* A generator and what it calls lie apart, and in a tight loop of few states all copies of both may
 * agree on what never was: `start`, or behind what a generator's bytecode says that it does not
 * call. */
uint32_t pst_walk_uncontradicted(struct pst_walk *walk, uint32_t start);
/* Remembers the steps of a chain that stood still. */
void pst_walk_remember(struct pst_walk *walk, uint32_t start);

#endif
