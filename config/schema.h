/* The settings as tables: schema.def in a form that code can walk. Nothing else knows a setting's
 * name, type or default. */
#ifndef PST_CONFIG_SCHEMA_H
#define PST_CONFIG_SCHEMA_H

#include "base/buf.h"
#include "config/config.h"

enum pst_setting_type {
    PST_SETTING_BOOL,      /* bool */
    PST_SETTING_UNSIGNED,  /* unsigned */
    PST_SETTING_NUMBER,    /* uint64_t */
    PST_SETTING_FLOAT,     /* double */
    PST_SETTING_DURATION,  /* uint64_t nanoseconds */
    PST_SETTING_SIZE,      /* uint64_t bytes */
    PST_SETTING_PERCENT,   /* double, 1.0 = 100% */
    PST_SETTING_STRING,    /* char * */
    PST_SETTING_SECRET,    /* char *, never shown */
    PST_SETTING_ENUM,      /* char *, one of the choices */
    PST_SETTING_DIRECTORY, /* char *; auto becomes a folder of the state directory */
    PST_SETTING_CHOICES,   /* bool[]: which of the choices are in the list */
    PST_SETTING_STRINGS,   /* struct pst_config_strings */
    PST_SETTING_MAP,       /* struct pst_config_pairs of label names to values */
    PST_SETTING_HEADERS,   /* struct pst_config_pairs of HTTP header names to values, not shown */
    PST_SETTING_RULES,     /* struct pst_config_rules */
    PST_SETTING_EXPORTERS, /* config->exporters and exporter_count */
};

#define PST_SETTING_LATER   1u /* accepted, no effect yet */
#define PST_SETTING_FILE    2u /* a path whose content matters */
#define PST_SETTING_ADDRESS 4u /* may carry user info and tokens, which are masked */

#define PST_TYPE_PYROSCOPE 1u
#define PST_TYPE_PARCA     2u
#define PST_TYPE_OTLP      4u
#define PST_TYPE_FILE      8u

struct pst_setting {
    const char *path; /* "a|b" in exporter tables: synonyms; the first is the one shown */
    enum pst_setting_type type;
    size_t offset;
    const char *fallback, *range, *choices, *help;
    unsigned flags;
    unsigned exporters; /* exporter tables: PST_TYPE_* that know it */
};

/* Tables, closed by a row without a path. */
extern const struct pst_setting pst_settings[];
extern const struct pst_setting pst_exporter_settings[];
extern const struct pst_setting pst_rule_settings[];
#define PST_SETTINGS_MAX 64 /* rows of the largest table; a static assertion holds it */

/* The row of a full path (any synonym), or NULL. */
const struct pst_setting *pst_setting_find(const struct pst_setting *table, struct pst_str path);
/* True when some row lies below path ("sampling" for sampling.hz; "" always). */
bool pst_setting_is_group(const struct pst_setting *table, struct pst_str path);
/* First name of a row, without synonyms. */
struct pst_str pst_setting_name(const struct pst_setting *row);
/* A remedy for an unknown key inside group ("" at the top): the key that was probably meant, else
 * the keys that are known there. mask: PST_TYPE_* (0: all rows). */
void pst_setting_suggest(const struct pst_setting *table, unsigned mask, struct pst_str group,
                         struct pst_str key, char *text, size_t size);
/* PYSTROBE_SAMPLING_HZ for sampling.hz. */
void pst_setting_env_name(const struct pst_setting *row, char *text, size_t size);
/* PST_TYPE_* of an exporter type's name, 0 when unknown. */
unsigned pst_setting_exporter_type(struct pst_str name);
/* Index of text, in any case, among "a|b|c", or -1; *ret_choice (may be NULL) is the choice itself.
 */
int pst_setting_choice(const char *choices, struct pst_str text, struct pst_str *ret_choice);

#endif
