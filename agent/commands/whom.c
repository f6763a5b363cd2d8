/* Words for people who named nobody, the wrong one, or one that is not theirs. */
#include "whom.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "labels/mask.h"
#include "scan/scan.h"
#include "target/procfs.h"
#include "target/rights.h"

int pst_whom_fail(const char *command, enum pst_exit code, const char *remedy, const char *text)
{
    struct pst_error error;

    (void)pst_error_set(&error, code, command, remedy, "%s", text);
    pst_error_print(stderr, &error);
    return (int)code;
}

int pst_whom_mode(const char *mode, bool idle, bool gil, enum pst_mode *ret)
{
    unsigned wanted = 0;

    if (mode && pst_mode_parse(pst_str(mode), ret) == 0)
        wanted |= 1u << *ret;
    wanted |= idle ? 1u << PST_MODE_WALL : 0;
    wanted |= gil ? 1u << PST_MODE_GIL : 0;
    *ret = wanted == 1u << PST_MODE_WALL  ? PST_MODE_WALL
           : wanted == 1u << PST_MODE_GIL ? PST_MODE_GIL
                                          : PST_MODE_CPU;
    return (wanted & (wanted - 1)) ? -EINVAL : 0;
}

/* --- nobody was named --- */

static void list_one(const struct pst_facts *facts)
{
    enum { SHOWN = 100 };
    struct pst_buf command, line;

    pst_buf_init(&command, 2 * PST_MAX_CMDLINE_BYTES);
    pst_buf_init(&line, 8 * PST_MAX_CMDLINE_BYTES);
    (void)pst_mask_arguments(facts->argv, &command);
    struct pst_str text = pst_buf_view(&command);
    text.len = text.len > SHOWN ? SHOWN : text.len;
    (void)pst_buf_escaped(&line, text);
    (void)fprintf(stderr, "  %-8d %s\n", (int)facts->pid, line.data ? line.data : "");
    pst_buf_done(&command);
    pst_buf_done(&line);
}

int pst_whom_ask(const char *command)
{
    enum { LISTED = 10 };
    struct pst_scan_options options = {0};
    struct pst_scan *scan = pst_scan_new(&options);
    const struct pst_facts *facts;
    size_t cursor = 0, listed = 0;

    (void)pst_whom_fail(command, PST_EXIT_USAGE,
                        strcmp(command, "dump") == 0 ? "give --pid PID, or --core FILE"
                                                     : "give --pid PID, or the program to start",
                        "which process?");
    if (!scan || pst_scan_run(scan) < 0 || pst_scan_count(scan) == 0)
        (void)fprintf(stderr, "No Python process was found here.\n");
    else
        (void)fprintf(stderr, "Python processes here:\n");
    while (scan && listed++ < LISTED && pst_scan_next(scan, &cursor, &facts))
        list_one(facts);
    pst_scan_free(scan);
    return PST_EXIT_USAGE;
}

/* --- processes that are there already --- */

/* Whether a terminal would show these bytes as they are. */
static bool is_printable(const char *word)
{
    struct pst_str text = pst_str(word);

    for (; *word; word++) {
        unsigned char c = (unsigned char)word[0], next = (unsigned char)word[1];
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && next < 0xa0))
            return false;
    }
    return pst_utf8_valid_prefix(text) == text.len;
}

static void put_byte(struct pst_buf *out, char c, bool printable)
{
    unsigned char byte = (unsigned char)c;

    if (printable && c == '\'')
        (void)pst_buf_puts(out, "'\\''");
    else if (!printable && (c == '\'' || c == '\\'))
        (void)pst_buf_printf(out, "\\%c", c);
    else if (!printable && (byte < 0x20 || byte >= 0x7f))
        (void)pst_buf_printf(out, "\\x%02x", byte);
    else
        (void)pst_buf_append(out, &c, 1);
}

/* As a shell reads it back, in one line whatever is in it. */
static void put_word(struct pst_buf *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./,:=@%+";
    bool printable = is_printable(word);

    if (word[0] && word[strspn(word, plain)] == 0) {
        (void)pst_buf_puts(out, word);
        return;
    }
    (void)pst_buf_puts(out, printable ? "'" : "$'");
    for (; *word; word++)
        put_byte(out, *word, printable);
    (void)pst_buf_puts(out, "'");
}

void pst_whom_sudo_line(int argc, char *const *argv, struct pst_buf *out)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    path[len > 0 ? len : 0] = 0;
    (void)pst_buf_puts(out, "sudo ");
    put_word(out, len > 0 ? path : "pystrobe");
    for (int i = 0; i < argc; i++) {
        (void)pst_buf_puts(out, " ");
        put_word(out, argv[i]);
    }
}

static int denied(const char *command, const struct pst_buf *sudo_line, pid_t pid)
{
    struct pst_refusal refusal;

    pst_rights_refusal("process_vm_readv", pid, &refusal);
    (void)fprintf(stderr, "pystrobe: %s: not permitted to read process %d: %s; %s; %s\n", command,
                  (int)pid, refusal.why, refusal.remedy,
                  sudo_line->data ? sudo_line->data : "run it as root");
    return PST_EXIT_DENIED;
}

static char state_of(pid_t pid)
{
    struct pst_stat stat;

    return pst_stat_read(pid, &stat) < 0 ? 0 : stat.state;
}

static bool is_kernels(pid_t pid)
{
    struct pst_stat stat;

    return pst_stat_read(pid, &stat) == 0 && (stat.flags & PST_PF_KTHREAD);
}

bool pst_whom_stopped(pid_t pid)
{
    return state_of(pid) == 'T';
}

int pst_whom_refuse(const char *command, const struct pst_buf *sudo_line, pid_t pid, int status,
                    enum pst_verdict verdict)
{
    char text[256], why[80];
    const char *remedy = NULL, *other;

    switch (status) {
    case -EPERM:
    case -EACCES:
        return denied(command, sudo_line, pid);
    case -ESRCH:
        (void)snprintf(text, sizeof(text),
                       state_of(pid) == 'Z' ? "process %d has ended and waits for its parent to "
                                              "take notice (a zombie)"
                                            : "no process %d",
                       (int)pid);
        remedy = "`pystrobe ps` lists the Python processes";
        break;
    case -ENOENT:
        other = pst_scan_other(pid);
        if (other) {
            (void)snprintf(text, sizeof(text), "process %d runs %s: %s is not CPython", (int)pid,
                           other, other);
            remedy = "pystrobe reads the stacks of CPython alone";
            break;
        }
        (void)snprintf(text, sizeof(text), "process %d is %s", (int)pid,
                       is_kernels(pid) ? "a thread of the kernel" : "not a CPython process");
        (void)snprintf(why, sizeof(why), "`pystrobe ps --why %d` says what it is", (int)pid);
        remedy = why;
        break;
    case -ENOTSUP:
        (void)snprintf(text, sizeof(text), "process %d runs a free-threaded Python: it has no GIL",
                       (int)pid);
        return pst_whom_fail(command, PST_EXIT_USAGE, "use --mode cpu or --mode wall", text);
    case -EIO:
        (void)snprintf(text, sizeof(text), "process %d cannot be read: %s", (int)pid,
                       pst_verdict_meaning(verdict));
        break;
    default:
        (void)snprintf(text, sizeof(text), "process %d: %s", (int)pid, strerror(-status));
        break;
    }
    return pst_whom_fail(command, PST_EXIT_FAILED, remedy, text);
}

int pst_whom_not_started(const char *command, const char *program, int status)
{
    struct pst_str word = pst_str(program);
    char text[256], remedy[80] = "";
    uint64_t pid;

    if (pst_str_u64(word, 10, INT_MAX, &pid) == 0)
        (void)snprintf(remedy, sizeof(remedy), "--pid %" PRIu64 " means the process", pid);
    else if (status == -ENOENT && pst_str_find(word, '/') == word.len)
        (void)snprintf(remedy, sizeof(remedy), "no folder of PATH holds it");
    (void)snprintf(text, sizeof(text), "cannot start %.150s: %s", program[0] ? program : "\'\'",
                   strerror(-status));
    return pst_whom_fail(command, PST_EXIT_FAILED, remedy, text);
}
