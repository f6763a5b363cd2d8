/* libdwfl's unwinder over the copy. */
#include "unwind.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"

enum {
    THREAD = 1, /* any number: the copy is the one thread that there is */
    GAPS = 8,
    GAP_BYTES = 16384, /* searched for the way out of one */
    PC_REGISTER = 16,
#if defined(__aarch64__)
    SP_REGISTER = 31,
#else
    SP_REGISTER = 7,
#endif
};

struct pst_unwinder {
    struct pst_modules *modules;
    int self_fd;
    Elf *self; /* tells libdwfl which machine this is */
    uint64_t epoch;

    const struct pst_stack_copy *copy;
    struct pst_registers registers; /* that the walk starts with */
    struct pst_pc pcs[PST_MAX_NATIVE_FRAMES];
    size_t count;
    bool past_copy, missed; /* what the frame at hand could not read: behind the copy, anywhere */
    bool unknown;
    enum pst_unwind_end end;
};

static pid_t next_thread(Dwfl *dwfl, void *context, void **thread)
{
    (void)dwfl;
    if (*thread)
        return 0;
    *thread = context;
    return THREAD;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *context, void **thread)
{
    (void)dwfl;
    *thread = context;
    return tid == THREAD;
}

static bool memory_read(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *context)
{
    struct pst_unwinder *unwinder = context;
    struct pst_memory *memory = unwinder->modules->memory;
    bool past = false;

    (void)dwfl;
    if (pst_stack_copy_word(unwinder->copy, address, result, &past))
        return true;
    /* A core file stands still: no copy bounds it, nor does a stack end where another begins. */
    if (pst_memory_core(memory) && pst_memory_u64(memory, address, result) == 0)
        return true;
    unwinder->missed = true;
    unwinder->past_copy |= past;
    return false;
}

static bool set_registers(Dwfl_Thread *thread, void *context)
{
    const struct pst_unwinder *unwinder = context;
    const struct pst_registers *registers = &unwinder->registers;

    if (!dwfl_thread_state_registers(thread, 0, registers->count, registers->value))
        return false;
    dwfl_thread_state_register_pc(thread, registers->pc);
    return true;
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
    .next_thread = next_thread,
    .get_thread = get_thread,
    .memory_read = memory_read,
    .set_initial_registers = set_registers,
};

/* Ends the walk; what was found so far stays. */
static int finish(struct pst_unwinder *unwinder, enum pst_unwind_end end)
{
    unwinder->end = end;
    return DWARF_CB_ABORT;
}

/* A core file keeps no code: what is not on disk any more as it was is not to be had. */
static bool gone(const struct pst_unwinder *unwinder, const struct pst_native_image *image)
{
    return image->has_file && pst_memory_core(unwinder->modules->memory);
}

static int on_frame(Dwfl_Frame *state, void *context)
{
    struct pst_unwinder *unwinder = context;
    Dwarf_Addr pc;
    bool activation;

    pst_memory_step(unwinder->modules->memory);
    unwinder->past_copy = unwinder->missed = false;
    if (!dwfl_frame_pc(state, &pc, &activation))
        return finish(unwinder, PST_END_LOST);
    if (!activation)
        pc--; /* a return address: the call lies before it */
    const struct pst_region *region = pst_modules_find(unwinder->modules, pc);
    if (!region || !region->executable) {
        unwinder->unknown |= !region;
        return finish(unwinder, PST_END_LOST);
    }
    struct pst_native_image *image = pst_modules_image(unwinder->modules, region);
    if (!image)
        return finish(unwinder, PST_END_JIT);
    if (!pst_image_open(image, unwinder->modules->pid, unwinder->modules->memory,
                        unwinder->modules->elves)) /* no ELF file */
        return finish(unwinder, gone(unwinder, image) ? PST_END_LOST : PST_END_JIT);
    if (unwinder->count == PST_MAX_NATIVE_FRAMES)
        return finish(unwinder, PST_END_TRUNCATED);
    Dwarf_Word sp;
    if (dwfl_frame_reg(state, SP_REGISTER, &sp) != 0)
        sp = 0;
    unwinder->pcs[unwinder->count++] = (struct pst_pc){pc, sp, region->image};
    return DWARF_CB_OK;
}

struct pst_unwinder *pst_unwinder_new(struct pst_modules *modules)
{
    struct pst_unwinder *unwinder = calloc(1, sizeof(*unwinder));

    if (!unwinder)
        return NULL;
    unwinder->modules = modules;
    unwinder->self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (elf_version(EV_CURRENT) != EV_NONE && unwinder->self_fd >= 0)
        unwinder->self = elf_begin(unwinder->self_fd, ELF_C_READ, NULL);
    return unwinder->self ? unwinder : pst_unwinder_free(unwinder);
}

struct pst_unwinder *pst_unwinder_free(struct pst_unwinder *unwinder)
{
    if (!unwinder)
        return NULL;
    (void)elf_end(unwinder->self);
    if (unwinder->self_fd >= 0)
        (void)close(unwinder->self_fd);
    free(unwinder);
    return NULL;
}

static bool attached(struct pst_unwinder *unwinder)
{
    struct pst_modules *modules = unwinder->modules;

    if (!modules->dwfl)
        return false;
    if (unwinder->epoch == modules->epoch)
        return true;
    if (!dwfl_attach_state(modules->dwfl, unwinder->self, modules->pid, &thread_callbacks,
                           unwinder))
        return false;
    unwinder->epoch = modules->epoch;
    return true;
}

/* --- gaps --- */

static bool has_tables(struct pst_unwinder *unwinder, uint64_t address)
{
    const struct pst_region *region = pst_modules_find(unwinder->modules, address);
    Dwarf_Addr bias;

    if (!region || !region->executable || !pst_modules_image(unwinder->modules, region))
        return false;
    Dwfl_Module *module = dwfl_addrmodule(unwinder->modules->dwfl, address);
    Dwarf_CFI *tables = module ? dwfl_module_eh_cfi(module, &bias) : NULL;
    Dwarf_Frame *frame = NULL;
    bool found = tables && dwarf_cfi_addrframe(tables, address - bias, &frame) == 0;
    free(frame);
    return found;
}

/* Whether the instruction before the address is a call. */
static bool after_call(const struct pst_unwinder *unwinder, uint64_t address)
{
    unsigned char code[7];

#if defined(__x86_64__)
    if (pst_memory_read(unwinder->modules->memory, address - sizeof(code), code, sizeof(code)) < 0)
        return false;
    if (code[2] == 0xe8)
        return true;
    for (size_t len = 2; len <= sizeof(code); len++) /* call through a register or memory */
        if (code[sizeof(code) - len] == 0xff && (code[sizeof(code) - len + 1] & 0x38) == 0x10)
            return true;
    return false;
#else
    uint32_t word;
    if (pst_memory_read(unwinder->modules->memory, address - 4, code, 4) < 0)
        return false;
    memcpy(&word, code, sizeof(word));
    return (word & 0xfc000000) == 0x94000000 || (word & 0xfffffc1f) == 0xd63f0000;
#endif
}

/* The place to go on from, above the frame that was reached last. */
static bool bridge(struct pst_unwinder *unwinder)
{
    const struct pst_stack_copy *copy = unwinder->copy;
    uint64_t sp = unwinder->count ? unwinder->pcs[unwinder->count - 1].sp : 0, word;

    if (unwinder->count == 0 || unwinder->count + 1 >= PST_MAX_NATIVE_FRAMES || sp < copy->start ||
        has_tables(unwinder, unwinder->pcs[unwinder->count - 1].address))
        return false;
    for (uint64_t at = (sp - copy->start) & ~(uint64_t)7, end = at + GAP_BYTES;
         at < end && at + sizeof(word) <= copy->len; at += sizeof(word)) {
        memcpy(&word, copy->bytes + at, sizeof(word));
        if (!has_tables(unwinder, word - 1) || !after_call(unwinder, word))
            continue;
        unwinder->registers.pc = word - 1;
        unwinder->registers.sp = copy->start + at + sizeof(word);
        unwinder->registers.value[SP_REGISTER] = unwinder->registers.sp;
#if defined(__x86_64__)
        unwinder->registers.value[PC_REGISTER] = word - 1;
#endif
        unwinder->pcs[unwinder->count++] = (struct pst_pc){.sp = sp, .image = PST_NO_IMAGE};
        return true;
    }
    return false;
}

static void walk(struct pst_unwinder *unwinder)
{
    unwinder->past_copy = unwinder->missed = false;
    unwinder->end = PST_END_LOST;
    int status = dwfl_getthread_frames(unwinder->modules->dwfl, THREAD, on_frame, unwinder);
    /* libdwfl takes a return address that it cannot read for the end of the stack. */
    if (status == 0 && !unwinder->missed)
        unwinder->end = PST_END_WHOLE;
    else if (status <= 0)
        unwinder->end = unwinder->past_copy ? PST_END_TRUNCATED : PST_END_LOST;
    /* An end that no table vouches for is none. */
    if (unwinder->end == PST_END_WHOLE && unwinder->count > 0 &&
        !has_tables(unwinder, unwinder->pcs[unwinder->count - 1].address))
        unwinder->end = PST_END_LOST;
}

enum pst_unwind_end pst_unwind(struct pst_unwinder *unwinder, const struct pst_stack_copy *copy,
                               const struct pst_pc **ret_pcs, size_t *ret_count, bool *ret_unknown)
{
    unwinder->copy = copy;
    unwinder->registers = copy->registers;
    unwinder->count = 0;
    unwinder->unknown = false;
    unwinder->end = PST_END_LOST;
    if (attached(unwinder)) {
        walk(unwinder);
        for (int gaps = 0; gaps < GAPS && unwinder->end == PST_END_LOST && bridge(unwinder); gaps++)
            walk(unwinder);
    }
    *ret_pcs = unwinder->pcs;
    *ret_count = unwinder->count;
    *ret_unknown = unwinder->unknown;
    return unwinder->end;
}
