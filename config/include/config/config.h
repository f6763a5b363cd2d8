/* The effective configuration: an immutable, reference-counted snapshot made from flags,
 * environment, file and defaults, in that order (design 2.2). One row per setting in schema.def. */
#ifndef PST_CONFIG_CONFIG_H
#define PST_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

struct pst_config_pair {
    char *name, *value;
};
struct pst_config_pairs {
    struct pst_config_pair *items;
    size_t count;
};
struct pst_config_strings {
    char **items;
    size_t count;
};

struct pst_config_tls {
    char *ca_file, *cert_file, *key_file, *server_name, *min_version; /* "" when unset */
    bool insecure, insecure_skip_verify;
};

#define PST_CONFIG_NAME_BYTES 64 /* of an exporter's name, with its NUL */

/* One entry of exporters:. Names are Alloy's and the Collector's. Strings are "" when unset.
 * Secrets given by *_file or ${file:} are re-read by the snapshot's owner when they change. */
struct pst_config_exporter {
    char *type, *name; /* name defaults to the type, made unique with -2, -3 */
    char *url;         /* url, address or endpoint: whichever the person wrote */
    char *protocol;    /* otlp: "grpc" or "http/protobuf" */
    struct pst_config_pairs headers;
    char *basic_username, *basic_password, *basic_password_file;
    char *bearer_token, *bearer_token_file;
    char *authorization_type, *authorization_credentials_file;
    struct {
        char *client_id, *client_secret, *client_secret_file, *token_url;
        struct pst_config_strings scopes;
    } oauth2;
    struct pst_config_tls tls;
    char *proxy_url, *no_proxy;
    uint64_t timeout_ns;
    uint64_t retry_initial_ns, retry_max_ns, retry_max_elapsed_ns; /* 0 elapsed: as long as kept */
    char *compression;                                             /* "", none, gzip, zstd */
    char *tenant; /* template over labels: "${namespace}" */
    struct pst_config_pairs external_labels;
    struct pst_config_strings sample_labels;
    bool sample_labels_set;              /* false: the exporter's default list */
    char *directory;                     /* file */
    uint64_t max_size_bytes, max_age_ns; /* file */
    char where[160];                     /* FILE:LINE:COLUMN of the entry */
};

/* One rule of discovery.select (keep and drop only) or discovery.relabel: Prometheus'
 * relabel_config with its defaults filled in. */
struct pst_config_rule {
    struct pst_config_strings source_labels;
    char *separator, *regex, *target_label, *replacement;
    char *action; /* replace keep drop keepequal dropequal hashmod labelmap labeldrop labelkeep
                     lowercase uppercase */
    uint64_t modulus;
    char where[160]; /* FILE:LINE:COLUMN of the rule */
};
struct pst_config_rules {
    struct pst_config_rule *items;
    size_t count;
};

struct pst_config {
    struct {
        bool enabled;
        double hz;
        bool modes[3]; /* by enum pst_mode: cpu, wall, gil */
        uint64_t window_ns;
        unsigned max_frames;
        bool class_names;
        double share; /* 0..1 */
        bool native;
        double overhead_cpu; /* of one core: 0.02 */
        uint64_t overhead_memory_bytes;
    } sampling;
    struct {
        uint64_t interval_ns, min_age_ns;
        struct pst_config_rules select, relabel;
        struct {
            char *docker, *cri; /* "auto", "off" or the socket's path */
        } containers;
        struct {
            char *enabled; /* auto true false */
            char *source;  /* auto kubelet apiserver */
            char *node;
            char *service_account, *apiserver_url;
            char *targeting; /* all annotation */
            struct pst_config_strings namespaces, exclude_namespaces;
            char *kubelet_url, *kubelet_ca_file;
            bool kubelet_insecure_skip_verify;
        } kubernetes;
    } discovery;
    struct pst_config_pairs labels;
    struct pst_config_exporter *exporters;
    size_t exporter_count;
    struct {
        char *directory; /* resolved, never "auto" */
        uint64_t retention_ns, max_size_bytes;
    } store;
    struct {
        char *directory;
        uint64_t max_size_bytes, max_age_ns;
    } spool;
    struct {
        char *listen, *bearer_token_file;
    } server;
    struct {
        char *level, *format;
    } log;
    uint64_t generation; /* grows with each load */

    char *file; /* "" when there was none */
    struct pst_config_strings
        files; /* whose content matters: the file, ${file:}, *_file settings */
    struct pst_config_strings warnings; /* one line each: taken, but without effect or doubtful */
};

/* Everything that the snapshot points to belongs to it and is constant; it may be shared between
 * threads. Settings whose effect does not exist yet are kept and named in warnings.
 *
 * file may be NULL. overrides: "sampling.hz=97" strings from flags. environ: NULL-terminated
 * NAME=VALUE strings (the process's environ). 0 or -EINVAL with error filled. Reference count 1. */
int pst_config_load(const char *file, const char *const *overrides, size_t override_count,
                    char *const *environment, struct pst_config **ret, struct pst_error *error);
/* Appends an exporter of type file with default bounds, as `agent --exporter-file DIR` asks for.
 * Only before the snapshot is shared. 0 or -ENOMEM. */
int pst_config_add_file_exporter(struct pst_config *config, const char *directory);
struct pst_config *pst_config_ref(struct pst_config *config);
struct pst_config *pst_config_unref(struct pst_config *config);

/* Effective configuration as YAML with secrets masked; a comment tells where each value that is
 * not a default came from. */
int pst_config_show(const struct pst_config *config, struct pst_buf *out);
/* JSON Schema of the file. */
int pst_config_schema(struct pst_buf *out);
/* The settings table as Markdown (docs/configuration.md is this output, compared by a test). */
int pst_config_docs(struct pst_buf *out);

#endif
