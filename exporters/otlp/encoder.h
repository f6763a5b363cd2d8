/* What the parts of the OTLP encoder share. */
#ifndef PST_OTLP_ENCODER_H
#define PST_OTLP_ENCODER_H

#include "base/arena.h"
#include "base/intern.h"
#include "base/limits.h"
#include "otlp.pb-c.h"
#include "otlp/otlp.h"

struct pst_otlp_encoder {
    const struct pst_profile *profile;
    struct pst_arena arena;
    struct pst_intern *strings;    /* ids are indices of the string table; 0 is "" */
    struct pst_intern *stacks;     /* location indices as bytes; 0 is the empty stack */
    struct pst_intern *attributes; /* struct attribute; 0 is nothing */
    struct pst_intern *links;      /* 24 bytes of ids; 0 is nothing */
    int32_t *string_of;            /* profile string id to table index, UNSET until used */
    int32_t frame_type;            /* attribute index of profile.frame.type=cpython */
    Pst__Otlp__ProfilesDictionary dictionary;
};

/* Zeroed memory of the arena; NULL past its bound. */
void *pst_otlp_make(struct pst_otlp_encoder *encoder, size_t count, size_t size);
char *pst_otlp_text(struct pst_otlp_encoder *encoder, struct pst_str text);

struct pst_otlp_resource {
    Pst__Otlp__Resource message;
    Pst__Otlp__KeyValue pairs[2 * PST_MAX_LABELS + 8];
    Pst__Otlp__KeyValue *list[2 * PST_MAX_LABELS + 8];
    Pst__Otlp__AnyValue values[2 * PST_MAX_LABELS + 8];
};

/* Attributes of the resource from the series labels. 0 or -ENOMEM. */
int pst_otlp_fill_resource(struct pst_otlp_encoder *encoder, const struct pst_labels *labels,
                           const struct pst_config_pairs *external,
                           struct pst_otlp_resource *resource);

#endif
