/* Stops one thread by PTRACE_SEIZE and PTRACE_INTERRUPT and lets it go again. Signals that arrive
 * meanwhile are passed on, a group stop stays one, and the kernel lets everything go when the
 * thread that traces ends, however it ends. */
#ifndef PST_NATIVE_SEIZE_H
#define PST_NATIVE_SEIZE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { PST_REGISTERS = 33 };

/* In DWARF's order of this machine. */
struct pst_registers {
    uint64_t value[PST_REGISTERS];
    unsigned count;
    uint64_t pc, sp;
    bool restarts; /* it was in a timed wait, which goes on by restart_syscall */
};

struct pst_seized {
    pid_t tid;
    bool child; /* the first thread of a child of our own: its end is for others to wait for */
    bool held;  /* it could not be let go: only the end of the calling thread can */
    int signal; /* that was about to be delivered */
};

/* Once in the thread that will trace: an alarm of its own bounds each wait. 0 or -errno. */
int pst_seize_prepare(void);
void pst_seize_done(void);

/* 0: stopped, pst_seize_end must follow. -EPERM traced already or refused; -ESRCH gone; -ETIMEDOUT
 * not stopped in time. held tells afterwards whether the calling thread has to end. */
int pst_seize_begin(struct pst_seized *stop, pid_t tid, bool child);
/* After -ETIMEDOUT: as long again, and the same answers. */
int pst_seize_wait(struct pst_seized *stop);
/* From what ptrace or a core file gives: struct user_regs_struct. */
struct user_regs_struct;
void pst_registers_take(const struct user_regs_struct *registers, struct pst_registers *ret);
int pst_seize_registers(const struct pst_seized *stop, struct pst_registers *ret);
/* Has the wait of a stopped thread end with EINTR, as by a signal, instead of going on by
 * restart_syscall: a filter of system calls that does not list this one may kill for it. The only
 * thing that is ever written to a target. Nothing on 64-bit ARM. */
void pst_seize_end_wait(const struct pst_seized *stop);
/* Lets it go; held as with pst_seize_begin. */
void pst_seize_end(struct pst_seized *stop);

#endif
