/* What a started program prints, while it must not reach the terminal: a process of its own reads
 * it and keeps the end. Told to, or when we are gone all of a sudden, that process shows what it
 * kept and hands on what comes; the program never waits for us and never loses its reader. */
#ifndef PST_SESSION_HUSH_H
#define PST_SESSION_HUSH_H

#include <stdbool.h>

struct pst_hush {
    int output;  /* for the program's stdout or stderr; -1: not begun */
    int control; /* to the process that reads */
};

/* shown: a descriptor for what is let through. unasked: let everything through when we are gone;
 * otherwise it is dropped. Signals that nobody else shall get are blocked already. 0 or -errno. */
int pst_hush_start(struct pst_hush *ret, int shown, bool unasked);
/* Lets through what was kept, and everything from now on. */
void pst_hush_show(struct pst_hush *hush);
/* Waits until what was printed so far has been shown or dropped. What is printed later goes the
 * same way. Does nothing when it was not begun. */
void pst_hush_end(struct pst_hush *hush);

#endif
