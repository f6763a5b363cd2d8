/* The records between the supervisor and the roles: fixed size, no parsing beyond two ranges. */
#include <errno.h>
#include <sys/socket.h>

#include "roles/roles.h"

const char *pst_role_word(enum pst_role role)
{
    static const char *const words[] = {
#define PST_ROLE(id, word) [PST_ROLE_##id] = word,
        PST_ROLES(PST_ROLE)
#undef PST_ROLE
    };

    return role < PST_ROLE_COUNT ? words[role] : "?";
}

int pst_control_send(int fd, const struct pst_control *record)
{
    ssize_t sent;

    do {
        sent = send(fd, record, sizeof(*record), MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

int pst_control_receive(int fd, struct pst_control *ret)
{
    for (;;) {
        struct pst_control record;
        /* MSG_TRUNC: the length as it was sent, so that a longer one is told from a record. */
        ssize_t got = recv(fd, &record, sizeof(record), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            return -EPIPE;
        if (got < 0)
            return errno == ECONNRESET ? -EPIPE : -errno;
        if (got != (ssize_t)sizeof(record) || record.kind == 0 ||
            record.kind >= PST_CONTROL_KIND_COUNT || record.role >= PST_ROLE_COUNT)
            continue;
        *ret = record;
        return 0;
    }
}
