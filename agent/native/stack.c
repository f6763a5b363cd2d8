/* How far a stack reaches, and what lies below a signal's own. */
#include "stack.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>

#include "base/limits.h"

enum {
    PAGE = 4096,
    PROBED_PAGES = 16,   /* of a stack that no mapping is known for */
    THREAD_BLOCK = 4096, /* what glibc and musl keep above a thread's stack, at its pthread_t */
    FLAGS_MAX = 0xff,    /* of a signal frame: few are defined */
    SIZE_MAX_BYTES = 1 << 30, /* of a stack for handlers */
#if defined(__aarch64__)
    SAVED_SP = offsetof(ucontext_t, uc_mcontext.sp),
    SAVED_PC = offsetof(ucontext_t, uc_mcontext.pc),
#else
    SAVED_SP = offsetof(ucontext_t, uc_mcontext.gregs[REG_RSP]),
    SAVED_PC = offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]),
#endif
};

/* Where no mapping is known (a stack that is new), page by page as far as it goes. */
static int copy_probing(struct pst_stack_copy *copy, struct pst_memory *memory)
{
    struct pst_piece pieces[PROBED_PAGES];
    uint64_t at = copy->start;
    size_t done = 0, len = 0;

    for (size_t i = 0; i < PROBED_PAGES; i++) {
        uint64_t end = (at | (PAGE - 1)) + 1;
        pieces[i] = (struct pst_piece){at, copy->bytes + (at - copy->start), end - at};
        at = end;
    }
    int status = pst_memory_readv(memory, pieces, PROBED_PAGES, &done);
    if (status == 0)
        done = PROBED_PAGES;
    for (size_t i = 0; i < done; i++)
        len += pieces[i].len;
    copy->len = len;
    return len > 0 ? 0 : status;
}

static bool within(uint64_t address, uint64_t start, uint64_t end)
{
    return address >= start && address < end;
}

/* A stack ends where its mapping does, or where the C library keeps what belongs to the thread:
 * stacks of several threads may lie in one mapping. */
static uint64_t stack_end(uint64_t start, const struct pst_region *region, uint64_t thread_block)
{
    uint64_t end = region->end;

    if (within(thread_block, start, end))
        end = thread_block + THREAD_BLOCK < end ? thread_block + THREAD_BLOCK : end;
    return end;
}

static uint64_t word_at(const struct pst_stack_copy *copy, size_t at)
{
    uint64_t word;

    memcpy(&word, copy->bytes + at, sizeof(word));
    return word;
}

struct signal_frame {
    uint64_t start, size; /* of the stack that the kernel took for the handler */
    uint64_t sp, pc;      /* where the thread was before */
};

/* Whether the words from there on are what the kernel leaves on such a stack. */
static bool is_frame(const struct pst_stack_copy *copy, const struct pst_modules *modules,
                     size_t at, struct signal_frame *ret)
{
    *ret = (struct signal_frame){
        .start = word_at(copy, at + offsetof(ucontext_t, uc_stack.ss_sp)),
        .size = word_at(copy, at + offsetof(ucontext_t, uc_stack.ss_size)),
        .sp = word_at(copy, at + SAVED_SP),
        .pc = word_at(copy, at + SAVED_PC),
    };
    if (ret->start > copy->start || ret->size > SIZE_MAX_BYTES ||
        copy->start + at - ret->start >= ret->size || ret->sp - ret->start < ret->size ||
        word_at(copy, at) > FLAGS_MAX || word_at(copy, at + offsetof(ucontext_t, uc_link)) != 0)
        return false;
    const struct pst_region *region = pst_modules_find(modules, ret->pc);
    return region && region->executable;
}

static bool find_frame(const struct pst_stack_copy *copy, const struct pst_modules *modules,
                       struct signal_frame *ret)
{
    for (size_t at = 0; at + sizeof(ucontext_t) <= copy->len; at += sizeof(uint64_t))
        if (is_frame(copy, modules, at, ret))
            return true;
    return false;
}

/* The piece that was interrupted takes the room behind the handler's. */
static void copy_below(struct pst_stack_copy *copy, const struct pst_modules *modules,
                       const struct pst_stack_owner *owner)
{
    struct signal_frame frame;

    if (!find_frame(copy, modules, &frame))
        return;
    uint64_t own = frame.start + frame.size - copy->start;
    if (own < copy->len)
        copy->len = own & ~(uint64_t)7;
    copy->below_start = frame.sp & ~(uint64_t)7;
    const struct pst_region *region = pst_modules_find(modules, copy->below_start);
    if (!region || !region->readable)
        return;
    uint64_t below_end = stack_end(copy->below_start, region, owner->thread_block);
    uint64_t len = below_end - copy->below_start, room = PST_MAX_NATIVE_STACK_BYTES - copy->len;
    if (len > room)
        len = room;
    if (pst_memory_read(modules->memory, copy->below_start, copy->bytes + copy->len, len) < 0)
        return;
    copy->below_len = len;
    copy->foreign = false;
}

int pst_stack_copy_take(struct pst_stack_copy *copy, const struct pst_modules *modules,
                        const struct pst_stack_owner *owner)
{
    copy->start = copy->registers.sp & ~(uint64_t)7;
    copy->len = copy->below_len = 0;
    copy->foreign = false;
    const struct pst_region *region = pst_modules_find(modules, copy->start);
    if (!region || !region->readable)
        return copy_probing(copy, modules->memory);
    bool known = owner->leader || owner->thread_block != 0;
    bool own = region->stack || !known ||
               (!owner->leader && within(owner->thread_block, copy->start, region->end));
    uint64_t end = stack_end(copy->start, region, owner->leader ? 0 : owner->thread_block);
    uint64_t len = end > copy->start ? end - copy->start : 0;
    copy->len = len < PST_MAX_NATIVE_STACK_BYTES ? len : PST_MAX_NATIVE_STACK_BYTES;
    int status = pst_memory_read(modules->memory, copy->start, copy->bytes, copy->len);
    if (status == -EFAULT)
        return copy_probing(copy, modules->memory);
    copy->foreign = status == 0 && !own;
    if (copy->foreign)
        copy_below(copy, modules, owner);
    return status;
}

static bool piece_word(uint64_t start, size_t len, const unsigned char *bytes, uint64_t address,
                       uint64_t *ret)
{
    if (address < start || len < sizeof(*ret) || address - start > len - sizeof(*ret))
        return false;
    memcpy(ret, bytes + (address - start), sizeof(*ret));
    return true;
}

bool pst_stack_copy_word(const struct pst_stack_copy *copy, uint64_t address, uint64_t *ret,
                         bool *ret_past)
{
    if (piece_word(copy->start, copy->len, copy->bytes, address, ret) ||
        piece_word(copy->below_start, copy->below_len, copy->bytes + copy->len, address, ret))
        return true;
    *ret_past = address >= copy->start || (copy->below_len > 0 && address >= copy->below_start);
    return false;
}
