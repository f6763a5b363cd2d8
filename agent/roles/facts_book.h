/* The scan reader's side of the facts: scan's events become entries of the target table and
 * messages with the table's ids, and nothing is lost while the daemon is away. Reads no target. One
 * thread. */
#ifndef PST_ROLES_FACTS_BOOK_H
#define PST_ROLES_FACTS_BOOK_H

#include "roles/table.h"
#include "scan/scan.h"

struct pst_facts_book;

/* table (writable) is borrowed; link is the facts socket. NULL when out of memory. */
struct pst_facts_book *pst_facts_book_new(struct pst_table *table, int link);
struct pst_facts_book *pst_facts_book_free(struct pst_facts_book *book);

/* As pst_scan_options.emit with the book as context. Never waits: what does not fit into the link
 * is owed. */
void pst_facts_book_event(void *context, enum pst_scan_event event, const struct pst_facts *facts);

/* Everything known is owed (again): for a daemon that starts. */
void pst_facts_book_owe_all(struct pst_facts_book *book);
/* Sends what is owed as far as the link takes it: every target of scan as new, and the end of every
 * entry that the table has and scan does not (left by a reader before this one, or whose end did
 * not fit). Call after the first full scan and then now and again. True when nothing is owed. */
bool pst_facts_book_settle(struct pst_facts_book *book, const struct pst_scan *scan);

/* After a full scan and once nothing is owed: what it found and cost. 0; -EAGAIN when the link has
 * no room. */
int pst_facts_book_scan(struct pst_facts_book *book, const struct pst_scan *scan, uint64_t runs);

#endif
