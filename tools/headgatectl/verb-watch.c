/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * watch: headgated's signals, one line each, until interrupted. It stays when headgated goes, and says so:
 * what is missed meanwhile is not made up.
 */

#include "client.h"
#include "units.h"
#include "view.h"

#include "util/printable.h"

#include <grp.h>
#include <string.h>
#include <time.h>

#define READERS_GROUP "headgate"

typedef struct Watch {
        const Ctl *ctl;
        uint64_t n; /* lines printed */
} Watch;

static uint64_t now_usec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

/* "tenant web", "allocation web-1"; the path itself where it is neither. */
static char *object_name(const char *path) {
        char *name = NULL, *id = NULL;
        int n;

        if ((id = client_path_id(path, HEADGATE_TENANT_PREFIX)))
                n = asprintf(&name, "tenant %s", id);
        else if ((id = client_path_id(path, HEADGATE_ALLOCATION_PREFIX)))
                n = asprintf(&name, "allocation %s", id);
        else
                n = asprintf(&name, "%s", strcmp(path, HEADGATE_PATH) == 0 ? "node" : path);

        free(id);
        return n < 0 ? NULL : name;
}

/* Takes ownership of `event`. One line for people, "TIME OBJECT: TEXT"; one object for --json. */
static void print_line(Watch *watch, json_t *event, const char *object, const char *text) {
        char time[UNITS_SIZE];

        if (watch->ctl->json) {
                json_object_set_new(event, "Time", variant_u64_new(now_usec()));
                (void) view_json(event, /* one_line= */ true);
        } else {
                _cleanup_free_ char *line = NULL;

                if (asprintf(&line, "%s %s: %s", units_format_time(now_usec(), time), object, text) < 0)
                        line = NULL;
                else
                        make_printable(line);
                printf("%s\n", line ?: "out of memory");
        }

        json_decref(event);
        fflush(stdout);
        watch->n++;
}

/* Everything in the message as a list of values. */
static json_t *read_arguments(sd_bus_message *m) {
        _cleanup_json_ json_t *arguments = json_array();

        while (sd_bus_message_at_end(m, /* complete= */ false) == 0) {
                json_t *value = NULL;

                if (variant_read(m, &value) < 0)
                        return NULL;
                json_array_append_new(arguments, value);
        }

        return TAKE_PTR(arguments);
}

/* What of the node's is told in words; NULL: the property is not among it, or says nothing. */
static const char *describe_node(const char *name, const json_t *value) {
        if (strcmp(name, "ClockTrusted") == 0)
                return json_is_true(value) ? "the clock is trusted"
                                           : "the clock is not trusted: kills, releases and preemptions wait";
        if (strcmp(name, "BootId") == 0)
                return "booted";

        return NULL;
}

static void print_change(FILE *f, bool node, const char *name, const json_t *value) {
        const char *words = node ? describe_node(name, value) : NULL;

        if (words)
                fprintf(f, "%s (", words);
        fprintf(f, "%s=", name);
        json_dumpf(value, f, JSON_ENCODE_ANY | JSON_COMPACT);
        if (words)
                fputc(')', f);
}

static char *describe_changes(bool node, const json_t *changed) {
        char *text = NULL;
        size_t size = 0, n = 0;
        const char *name;
        json_t *value;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;

        json_object_foreach ((json_t *) changed, name, value) {
                fputs(n++ > 0 ? " " : "", f);
                print_change(f, node, name, value);
        }

        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }

        return text;
}

/* "cpu 3500m, memory 8GiB" */
static char *describe_amounts(const json_t *amounts) {
        _cleanup_json_ json_t *list = json_array();
        _cleanup_free_ char *joined = NULL;
        char *text = NULL;
        const char *name;
        json_t *value;

        json_object_foreach ((json_t *) amounts, name, value) {
                char amount[UNITS_SIZE];

                json_array_append_new(
                                list, json_sprintf("%s %s", name,
                                                      units_format_resource(name, variant_u64_value(value),
                                                                      amount)));
        }

        joined = view_join(list);
        return asprintf(&text, "capacity is %s", joined ?: "?") < 0 ? NULL : text;
}

/* The sentence for people; what is only there for the machine (the standard's own interfaces) is left out of
 * it. */
static char *describe(const char *member, const json_t *arguments, const char **object) {
        const char *argument[4] = {};
        char *text = NULL, left[UNITS_SIZE];
        int n;

        for (size_t i = 0; i < ELEMENTSOF(argument); i++)
                argument[i] = json_string_value(json_array_get(arguments, i)) ?: "";

        if (strcmp(member, "AllocationChanged") == 0) {
                n = asprintf(&text, "%s -> %s%s%s", argument[1], argument[2], *argument[3] ? ": " : "",
                                argument[3]);
                *object = argument[0];
        } else if (strcmp(member, "AllocationEnding") == 0) {
                n = asprintf(&text, "ends in %s",
                                units_format_usec(variant_u64_value(json_array_get(arguments, 1)), left));
                *object = argument[0];
        } else if (strcmp(member, "CapacityChanged") == 0)
                return describe_amounts(json_array_get(arguments, 0));
        else if (strcmp(member, "PropertiesChanged") == 0)
                return describe_changes(
                                strcmp(argument[0], HEADGATE_MANAGER) == 0, json_array_get(arguments, 1));
        else if (strcmp(member, "InterfacesAdded") == 0) {
                n = asprintf(&text, "added");
                *object = argument[0];
        } else if (strcmp(member, "InterfacesRemoved") == 0) {
                n = asprintf(&text, "removed");
                *object = argument[0];
        } else {
                _cleanup_free_ char *all = json_dumps(arguments, JSON_COMPACT);

                n = asprintf(&text, "%s %s", member, all ?: "?");
        }

        return n < 0 ? NULL : text;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m), *member = sd_bus_message_get_member(m), *object = path;
        _cleanup_json_ json_t *arguments = read_arguments(m);
        _cleanup_free_ char *text = NULL, *name = NULL;
        Watch *watch = userdata;

        if (!arguments)
                return 0;

        text = describe(member, arguments, &object);
        if (strcmp(member, "AllocationChanged") == 0 || strcmp(member, "AllocationEnding") == 0) {
                if (asprintf(&name, "allocation %s", object) < 0)
                        name = NULL;
        } else
                name = object_name(object);

        print_line(watch,
                        json_pack("{ss ss ss sO}", "Path", path, "Interface", sd_bus_message_get_interface(m),
                                        "Signal", member, "Arguments", arguments),
                        name ?: "?", text ?: "?");
        return 0;
}

static void print_owner(Watch *watch, const char *old_owner, const char *new_owner) {
        print_line(watch,
                        json_pack("{ss s[sss]}", "Signal", "NameOwnerChanged", "Arguments", HEADGATE_NAME,
                                        old_owner, new_owner),
                        "headgated",
                        !*new_owner   ? "gone"
                        : !*old_owner ? "there"
                                      : "replaced");
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old_owner, *new_owner;

        if (sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner) >= 0)
                print_owner(userdata, old_owner, new_owner);

        return 0;
}

/* The first line: whether there is anything to hear from. From here on nothing is missed. Not counted. */
static int print_start(Client *client, Watch *watch) {
        sd_bus_creds *creds = NULL;
        const char *owner = "";
        int r;

        if (sd_bus_is_bus_client(client->bus) == 0) { /* nobody else is at the other end */
                print_owner(watch, "", HEADGATE_NAME);
                watch->n = 0;
                return 0;
        }
        r = sd_bus_get_name_creds(client->bus, HEADGATE_NAME, SD_BUS_CREDS_UNIQUE_NAME, &creds);
        if (r < 0 && r != -ENXIO && r != -ESRCH)
                return client_fail(client, r, "cannot listen");
        if (r >= 0)
                (void) sd_bus_creds_get_unique_name(creds, &owner);

        print_owner(watch, "", owner);
        watch->n = 0;
        sd_bus_creds_unref(creds);
        return 0;
}

/*
 * The system bus drops headgated's signals on the way to whoever is neither root nor in the readers' group
 * (org.headgate.Node1.conf), and says so to nobody: it goes by the groups of the process that connects, so
 * do we. What another bus does is not known, but that headgated has nothing to tell to whom it denies its
 * properties.
 */
static bool gets_signals(Client *client, const Ctl *ctl) {
        _cleanup_json_ json_t *node = NULL;
        const struct group *readers;
        int r;

        if (!ctl->host && strcmp(ctl->bus, "system") == 0 && geteuid() != 0) {
                readers = getgrnam(READERS_GROUP);
                if (!readers || (getegid() != readers->gr_gid && !group_member(readers->gr_gid)))
                        return false;
        }

        client->keep = true;
        r = client_get_node(client, &node);
        client->keep = false;
        return r != CTL_DENIED;
}

/*
 * By whose groups the bus of another host goes, that host knows alone: of who reads its properties and is not
 * root there it cannot be told from here whether it is a member of the group, or one of the schedulers'
 * users, to whom no signal comes.
 */
static void warn_remote(Client *client, const Ctl *ctl) {
        sd_bus_creds *creds = NULL;
        const char *name;
        uid_t uid = 0;

        if (!ctl->host)
                return;
        if (sd_bus_get_unique_name(client->bus, &name) >= 0 &&
                        sd_bus_get_name_creds(client->bus, name, SD_BUS_CREDS_EUID, &creds) >= 0)
                (void) sd_bus_creds_get_euid(creds, &uid);
        sd_bus_creds_unref(creds);
        if (uid != 0)
                fprintf(stderr,
                                "headgatectl: headgated's signals go to root and the group " READERS_GROUP
                                " alone: unless user %d is in it on %s, as a scheduler's need not be, "
                                "nothing "
                                "comes (watch there with --bus=peer)\n",
                                (int) uid, ctl->host);
}

int verb_watch(const Ctl *ctl) {
        _cleanup_client_ Client client = CLIENT_NULL;
        Watch watch = { ctl, 0 };
        int r;

        r = client_open(ctl, &client);
        if (r != 0)
                return r;

        if (!gets_signals(&client, ctl))
                return ctl_fail(CTL_DENIED, "headgated's signals go to root and the group " READERS_GROUP
                                            " alone (watch as one of them; a scheduler may use --bus=peer)");

        warn_remote(&client, ctl);
        r = client_listen(&client, on_signal, on_owner, &watch);
        if (r == 0)
                r = print_start(&client, &watch);
        if (r != 0)
                return r;

        while (ctl->count == 0 || watch.n < ctl->count) {
                r = sd_bus_process(client.bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(client.bus, UINT64_MAX);
                if (r == -EINTR)
                        continue;
                if (r < 0)
                        return client_fail(&client, r, "the bus is gone");
                if (ferror(stdout))
                        break;
        }

        return CTL_OK;
}
