/* What the files of the endpoint share: the server, one request, one answer. */
#ifndef PST_SERVER_INTERNAL_H
#define PST_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <jansson.h>
#include <microhttpd.h>

#include "base/limits.h"
#include "server/server.h"

/* One open connection and how long it may stay in what it does; see watch.c. */
enum pst_connection_phase { PST_READING, PST_WORKING, PST_SENDING };
struct pst_connection {
    struct pst_connection *previous, *next;
    int fd;
    enum pst_connection_phase phase;
    uint64_t since_ns; /* monotonic */
    bool cut;          /* shut down by the watch */
};

struct pst_cache; /* cache.c */

struct pst_server {
    struct MHD_Daemon *daemon;
    int listen_fd;
    bool unix_socket, loopback;
    char address[320];   /* for people */
    char host[256];      /* as written in server.listen */
    char unix_path[256]; /* removed at the end */
    char *token_file;    /* "" when unset */
    char picture_policy[320];
    struct pst_server_hooks hooks;
    struct pst_store *store;
    struct pst_cache *cache;
    atomic_bool stopping;
    atomic_uint pulls;
    pthread_mutex_t large; /* held while a download or a picture is made */

    pthread_mutex_t lock; /* guards the connections and both conditions */
    pthread_cond_t wake;  /* broadcast once, at the stop */
    struct pst_connection *connections;
    pthread_t watch;
    bool watching;
};

struct pst_request {
    struct pst_server *server;
    struct MHD_Connection *connection;
    const char *method, *path;
    size_t body_bytes;
    bool too_large;
};

enum pst_policy { PST_POLICY_DATA, PST_POLICY_PAGE, PST_POLICY_PICTURE };

struct pst_answer {
    unsigned status;
    const char *type; /* Content-Type */
    enum pst_policy policy;
    const char *picture_policy; /* with PST_POLICY_PICTURE */
    const char *allow;          /* 405 */
    const char *authenticate;   /* 401 */
    const char *location;
    char disposition[192];  /* file name for a download; may be empty */
    unsigned retry_after_s; /* 0: none */
    bool cacheable;         /* embedded files only */
    struct pst_buf body;
    const void *fixed; /* embedded bytes instead of body; never freed */
    size_t fixed_bytes;
};

/* answer.c. text answers end with a newline. */
void pst_answer_init(struct pst_answer *answer);
void pst_answer_done(struct pst_answer *answer);
void pst_answer_text(struct pst_answer *answer, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Takes over the reference; NULL answers 500. */
void pst_answer_json(struct pst_answer *answer, unsigned status, json_t *json);
enum MHD_Result pst_answer_send(struct pst_answer *answer, struct MHD_Connection *connection);
/* Any bytes as a JSON string of valid UTF-8. */
json_t *pst_json_str(struct pst_str text);
json_t *pst_json_text(const char *text);
/* HTML-escaped, valid UTF-8. */
int pst_html_text(struct pst_buf *out, struct pst_str text);

/* listen.c */
int pst_listen_open(const char *listen, struct pst_server *server, struct pst_error *error);
void pst_listen_close(struct pst_server *server);

/* guard.c: false with the answer filled when the request may not see the path. */
bool pst_guard_admits(struct pst_request *request, bool public_path, struct pst_answer *answer);

/* watch.c */
int pst_watch_start(struct pst_server *server);
void pst_watch_stop(struct pst_server *server);
void pst_watch_notify(void *server, struct MHD_Connection *connection, void **socket_context,
                      enum MHD_ConnectionNotificationCode code);
void pst_watch_phase(struct pst_request *request, enum pst_connection_phase phase);

/* route.c */
void pst_route(struct pst_request *request, struct pst_answer *answer);

/* request.c: query parameters. */
struct pst_str pst_request_argument(const struct pst_request *request, const char *name);
struct pst_str pst_request_header(const struct pst_request *request, const char *name);
/* Mode from mode=, default cpu; range from last= or from= and to= (Unix seconds), default the last
 * 15 minutes. False with the answer filled when they are not valid. */
struct pst_range {
    struct pst_str service;
    enum pst_mode mode;
    int64_t from_ns, to_ns;
};
bool pst_request_mode(struct pst_request *request, enum pst_mode *ret, struct pst_answer *answer);
bool pst_request_range(struct pst_request *request, struct pst_range *ret,
                       struct pst_answer *answer);
/* Sleeps; false when the server stopped meanwhile. */
bool pst_server_sleep(struct pst_server *server, uint64_t duration_ns);
bool pst_server_stopping(void *server);

/* Handlers. */
void pst_serve_metrics(struct pst_request *request, struct pst_answer *answer);
void pst_serve_health(struct pst_request *request, struct pst_answer *answer);
void pst_serve_ready(struct pst_request *request, struct pst_answer *answer);
void pst_serve_reload(struct pst_request *request, struct pst_answer *answer);
void pst_serve_targets(struct pst_request *request, struct pst_answer *answer);
void pst_serve_pull(struct pst_request *request, struct pst_answer *answer);
void pst_serve_services(struct pst_request *request, struct pst_answer *answer);
void pst_serve_timeline(struct pst_request *request, struct pst_answer *answer);
void pst_serve_top(struct pst_request *request, struct pst_answer *answer);
void pst_serve_status(struct pst_request *request, struct pst_answer *answer);
void pst_serve_flamegraph(struct pst_request *request, struct pst_answer *answer);
void pst_serve_download(struct pst_request *request, struct pst_answer *answer);

/* picture.c: the Content-Security-Policy of flame graphs: their own script, known by its hash, and
 * nothing else runs, whatever a function may be called. */
int pst_picture_policy(char *policy, size_t size);

/* asset.c: the page's own files, embedded when the program is built. */
void pst_serve_asset(struct pst_request *request, struct pst_answer *answer);

#endif
