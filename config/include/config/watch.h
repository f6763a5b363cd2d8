/* Tells when a configuration's files changed: the file itself, ${file:} references, *_file
 * settings; also by Kubernetes' swap of ..data, by rename, and where inotify does not work by
 * looking at them each time. It does not load anything: that is the caller's choice. */
#ifndef PST_CONFIG_WATCH_H
#define PST_CONFIG_WATCH_H

#include <stdbool.h>

#include "config/config.h"

struct pst_config_watch;

/* Notes the present state of config->files. 0, -ENOMEM. A configuration without files is fine. */
int pst_config_watch_new(const struct pst_config *config, struct pst_config_watch **ret);
struct pst_config_watch *pst_config_watch_free(struct pst_config_watch *watch);

/* Readable when something may have changed, for epoll; -1 when inotify is refused. Whether or not
 * there is one, call pst_config_watch_changed every few seconds too: network file systems and
 * exhausted inotify limits give no event. */
int pst_config_watch_fd(const struct pst_config_watch *watch);

/* Drains the descriptor and compares the files with the state last seen: true once for each
 * change, a file that appears or vanishes included. Does not block. */
bool pst_config_watch_changed(struct pst_config_watch *watch);

/* A file that was written while or right before its configuration was loaded counts as changed
 * once, since nobody can tell which content was read.
 *
 * After a reload: the files of the new configuration, their present state taken as seen. When the
 * old configuration was kept, do not call this: the next change will be seen. 0, -ENOMEM (the
 * watch is unchanged). */
int pst_config_watch_follow(struct pst_config_watch *watch, const struct pst_config *config);

#endif
