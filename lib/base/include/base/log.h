/* Log lines on stderr, logfmt or JSON: never blocking, at most 6 a minute per cause with the
 * suppressed count, outside text escaped. Hot paths count instead of logging. Thread-safe. */
#ifndef PST_BASE_LOG_H
#define PST_BASE_LOG_H

#include <stdbool.h>

enum pst_log_level { PST_LOG_DEBUG, PST_LOG_INFO, PST_LOG_WARN, PST_LOG_ERROR };
enum pst_log_format { PST_LOG_LOGFMT, PST_LOG_JSON };

void pst_log_setup(enum pst_log_level level, enum pst_log_format format, const char *role);

/* cause: a constant word naming what happens ("exporter_retry"); suppression is per cause. */
void pst_log(enum pst_log_level level, const char *cause, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define pst_log_debug(cause, ...) pst_log(PST_LOG_DEBUG, cause, __VA_ARGS__)
#define pst_log_info(cause, ...)  pst_log(PST_LOG_INFO, cause, __VA_ARGS__)
#define pst_log_warn(cause, ...)  pst_log(PST_LOG_WARN, cause, __VA_ARGS__)
#define pst_log_error(cause, ...) pst_log(PST_LOG_ERROR, cause, __VA_ARGS__)

#endif
