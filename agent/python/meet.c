/* A frame that no copy of the batch holds, met in the middle of a walk: it is read on both sides of
 * a look at what it called and at where the thread is. What is the same on both sides was so in
 * between, and the walk goes on: to begin it again would be to come when a short function is over,
 * and to find those that last instead. */
#include <string.h>

#include "internal.h"

static const unsigned char *add(struct pst_py_scratch *scratch, struct pst_piece *piece,
                                uint64_t address, size_t len)
{
    unsigned char *dst = pst_batch_add(scratch, address, len);

    *piece = (struct pst_piece){address, dst, len};
    return dst;
}

static bool still_called(const struct pst_layout *l, const struct pst_raw_frame *callee,
                         const unsigned char *copy)
{
    return callee->code == pst_frame_code(l, copy) &&
           callee->previous == pst_word(copy, l->frame.previous);
}

bool pst_known_meet(struct pst_python *python, struct pst_thread *thread, uint64_t address,
                    const struct pst_meeting *meeting)
{
    struct pst_py_scratch *scratch = python->scratch;
    struct pst_piece pieces[4];
    size_t count = 0;
    const unsigned char *callee = NULL;
    const unsigned char *before = add(scratch, &pieces[count++], address, python->frame_bytes);
    const unsigned char *where = add(scratch, &pieces[count++], meeting->where, sizeof(uint64_t));
    if (meeting->callee)
        callee = add(scratch, &pieces[count++], meeting->callee->address, python->spans.frame_len);
    const unsigned char *after = add(scratch, &pieces[count++], address, python->frame_bytes);

    if (!before || !where || !after || (meeting->callee && !callee) ||
        pst_memory_readv(python->memory, pieces, count, NULL) < 0)
        return false;
    if (meeting->callee && !still_called(&python->layout, meeting->callee, callee))
        return false;
    /* A frame object that was left says so; on the data stack only the thread state does. */
    if ((!meeting->callee || python->layout.frames_kind != PST_FRAMES_OBJECT) &&
        pst_word(where, 0) != meeting->current)
        return false;
    int place = pst_known_find(thread, address);
    if (place < 0)
        place = pst_known_add(python, thread, address, meeting->place);
    if (place < 0)
        return false;
    struct pst_known *known = &thread->known[place];
    known->copy[0] = before;
    known->copy[1] = after;
    return true;
}
