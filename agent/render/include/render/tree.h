/* The call tree behind flame graphs: stacks of one profile (or two, for a difference) folded into
 * nodes, bounded by PST_MAX_TREE_NODES. */
#ifndef PST_RENDER_TREE_H
#define PST_RENDER_TREE_H

#include "render/frame.h"

struct pst_tree;

enum pst_weight { PST_WEIGHT_TIME, PST_WEIGHT_SAMPLES };

struct pst_tree_options {
    unsigned frame_flags;                /* enum pst_frame_flags */
    const struct pst_frame_files *files; /* NULL: short by their text */
    enum pst_weight weight;
    bool processes, threads; /* root frames from the labels pid, thread_id and thread_name */
    /* Command line of a process, for its root frame; false: unknown. May be NULL. */
    bool (*command)(const void *context, int64_t pid, struct pst_str *ret);
    /* The process that its root frame stands under; 0: none. May be NULL. */
    int64_t (*parent)(const void *context, int64_t pid);
    const void *command_context; /* of both */
};

enum { PST_TREE_ROOT = 0 };

struct pst_tree_node {
    struct pst_str label;
    bool synthetic;   /* a bracketed frame or a process or thread root */
    uint32_t package; /* hash of the package that the file belongs to: equal ones, equal colour */
    uint32_t parent;  /* of the root: itself */
    uint32_t first_child;      /* 0: none */
    uint32_t next;             /* sibling; 0: last. Siblings come by weight, heaviest first */
    uint32_t depth;            /* root 0 */
    int64_t self[2], total[2]; /* of the profile added as side 0 and 1 */
};

struct pst_tree *pst_tree_new(const struct pst_tree_options *options); /* NULL: out of memory */
struct pst_tree *pst_tree_free(struct pst_tree *tree);
/* Adds every sample. Past the bound a stack ends early and its weight stays with the last frame
 * that has a node. 0 or -ENOMEM. The profile need not outlive the call. */
int pst_tree_add(struct pst_tree *tree, const struct pst_profile *profile, int side);
/* Sums up and orders siblings; call once after the last add. 0 or -ENOMEM. */
int pst_tree_finish(struct pst_tree *tree);

uint32_t pst_tree_count(const struct pst_tree *tree); /* nodes are 0..count-1, parents first */
const struct pst_tree_node *pst_tree_at(const struct pst_tree *tree, uint32_t node);
enum pst_weight pst_tree_weight(const struct pst_tree *tree);

#endif
