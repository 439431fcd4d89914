/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Pure but for what the lookup is asked: it opens nothing and sends nothing. */

#include "enforce/device-rule.h"

#include "util/strv.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <string.h>

#include "bpf/device-guard.h"

_Static_assert((int) DEVICE_MKNOD == BPF_DEVCG_ACC_MKNOD && (int) DEVICE_READ == BPF_DEVCG_ACC_READ &&
                                (int) DEVICE_WRITE == BPF_DEVCG_ACC_WRITE &&
                                DEVICE_NUMBER_ANY == DEVICE_RULE_ANY,
                "the kernel's numbers");

#define ALL (DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD)

/* Those of systemd's DevicePolicy=closed. */
static const struct {
        DeviceNumber number;
        uint32_t access;
} always[] = {
        { { DEVICE_KIND_CHARACTER, 1, 3 }, ALL },                                   /* null */
        { { DEVICE_KIND_CHARACTER, 1, 5 }, ALL },                                   /* zero */
        { { DEVICE_KIND_CHARACTER, 1, 7 }, ALL },                                   /* full */
        { { DEVICE_KIND_CHARACTER, 1, 8 }, ALL },                                   /* random */
        { { DEVICE_KIND_CHARACTER, 1, 9 }, ALL },                                   /* urandom */
        { { DEVICE_KIND_CHARACTER, 5, 0 }, ALL },                                   /* tty */
        { { DEVICE_KIND_CHARACTER, 5, 2 }, ALL },                                   /* ptmx */
        { { DEVICE_KIND_CHARACTER, 136, DEVICE_NUMBER_ANY }, ALL & ~DEVICE_MKNOD }, /* pts/… */
        /* InaccessiblePaths= of a unit within puts these, which have no driver, in the place of others. */
        { { DEVICE_KIND_CHARACTER, 0, 0 }, ALL },
        { { DEVICE_KIND_BLOCK, 0, 0 }, ALL },
};

static __u16 kernel_kind(DeviceKind kind) {
        return kind == DEVICE_KIND_BLOCK ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
}

static int add_rule(struct device_rules *rules, const DeviceNumber *number, uint32_t access) {
        const struct device_rule rule = {
                .major = number->major,
                .minor = number->minor,
                .kind = kernel_kind(number->kind),
                .access = (__u16) access,
        };

        for (__u32 i = 0; i < rules->n; i++) {
                struct device_rule *have = &rules->rules[i];

                if (have->major == rule.major && have->minor == rule.minor && have->kind == rule.kind) {
                        have->access |= rule.access;
                        return 0;
                }
        }
        if (rules->n == DEVICE_RULES_MAX)
                return -E2BIG;
        rules->rules[rules->n++] = rule;
        return 0;
}

/* A line of /proc/devices: its driver, and whose section it stands in. */
typedef struct Driver {
        DeviceKind kind;
        uint32_t major;
        char name[64];
} Driver;

/* The next driver after `*text`, which is moved behind it; false: there is none. */
static bool next_driver(const char **text, Driver *driver) {
        while (**text) {
                size_t n = strcspn(*text, "\n");
                char line[128];

                snprintf(line, sizeof(line), "%.*s", (int) n, *text);
                *text += n + ((*text)[n] == '\n');
                if (strncmp(line, "Character", 9) == 0)
                        driver->kind = DEVICE_KIND_CHARACTER;
                else if (strncmp(line, "Block", 5) == 0)
                        driver->kind = DEVICE_KIND_BLOCK;
                else if (sscanf(line, "%" SCNu32 " %63s", &driver->major, driver->name) == 2)
                        return true;
        }
        return false;
}

static int add_group(const DeviceLookup *lookup, struct device_rules *rules, const DeviceName *name,
                uint32_t access) {
        const char *text = lookup->drivers;
        Driver driver = {};
        int r = -ENXIO;

        if (strcmp(name->text, "*") == 0)
                return add_rule(rules, &(DeviceNumber){ name->kind, DEVICE_NUMBER_ANY, DEVICE_NUMBER_ANY },
                                access);
        while (next_driver(&text, &driver)) {
                if (driver.kind != name->kind || fnmatch(name->text, driver.name, 0) != 0)
                        continue;
                r = add_rule(rules, &(DeviceNumber){ driver.kind, driver.major, DEVICE_NUMBER_ANY }, access);
                if (r < 0)
                        return r;
        }
        return r;
}

/* A number alone is of the kind that has a driver for the major; where both have, of the one that has the
 * device. */
static int find_kind(const DeviceLookup *lookup, const DeviceName *name, DeviceKind *ret) {
        const char *text = lookup->drivers;
        bool is[DEVICE_KIND_BLOCK + 1] = {};
        Driver driver = {};

        while (next_driver(&text, &driver))
                if (driver.major == name->major)
                        is[driver.kind] = true;
        if (is[DEVICE_KIND_CHARACTER] && is[DEVICE_KIND_BLOCK] && name->minor != DEVICE_NUMBER_ANY)
                for (DeviceKind kind = DEVICE_KIND_CHARACTER; kind <= DEVICE_KIND_BLOCK; kind++)
                        is[kind] = lookup->has_number(&(DeviceNumber){ kind, name->major, name->minor });
        if (is[DEVICE_KIND_CHARACTER] == is[DEVICE_KIND_BLOCK])
                return is[DEVICE_KIND_CHARACTER] ? -ENOTUNIQ : -ENXIO;
        *ret = is[DEVICE_KIND_CHARACTER] ? DEVICE_KIND_CHARACTER : DEVICE_KIND_BLOCK;
        return 0;
}

static int add_device(const DeviceLookup *lookup, struct device_rules *rules, const DeviceName *name,
                uint32_t access) {
        DeviceNumber number = { name->kind, name->major, name->minor };
        int r = 0;

        switch (name->form) {
        case DEVICE_FORM_GROUP:
                return add_group(lookup, rules, name, access);
        case DEVICE_FORM_NODE:
                r = lookup->find_node(name->text, &number);
                break;
        case DEVICE_FORM_NUMBER:
                if (name->kind == DEVICE_KIND_EITHER)
                        r = find_kind(lookup, name, &number.kind);
                break;
        }
        return r < 0 ? r : add_rule(rules, &number, access);
}

static const char *words_for(int error) {
        switch (error) {
        case -ENOENT:
                return "there is no such device node now";
        case -ENODEV:
                return "it is no device node";
        case -EACCES:
                return "this service cannot see it; name it by its number";
        case -ENXIO:
                return "there is no such driver now";
        case -ENOTUNIQ:
                return "there is a character and a block device of that number; say \"c\" or \"b\" before it";
        case -E2BIG:
                return "there is no room for more rules";
        default:
                return strerror(-error);
        }
}

int device_rules_make(const DeviceLookup *lookup, const DeviceSet *devices, struct device_rules **ret,
                char ***problems) {
        _cleanup_device_rules_ struct device_rules *rules = calloc(1, sizeof(*rules));
        bool full = false;

        if (!rules)
                return -ENOMEM;
        rules->closed = 1;
        for (size_t i = 0; i < ELEMENTSOF(always); i++)
                (void) add_rule(rules, &always[i].number, always[i].access);
        for (size_t i = 0; i < devices->n; i++) {
                const Device *device = &devices->entries[i];
                DeviceName name;
                int r = device_name_parse(device->name, &name);

                if (r >= 0)
                        r = add_device(lookup, rules, &name, device->access);
                full = full || r == -E2BIG;
                if (r < 0 && strv_pushf(problems, "Devices: %s: %s", device->name, words_for(r)) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(rules);
        return full;
}

static bool is_always(const struct device_rule *rule) {
        for (size_t i = 0; i < ELEMENTSOF(always); i++) {
                const DeviceNumber *number = &always[i].number;

                if (rule->major == number->major && rule->minor == number->minor &&
                                rule->kind == kernel_kind(number->kind))
                        return rule->access == always[i].access;
        }
        return false;
}

static void print_number(FILE *f, __u32 number) {
        if (number == DEVICE_RULE_ANY)
                fputc('*', f);
        else
                fprintf(f, "%" PRIu32, number);
}

static void print_rule(FILE *f, const struct device_rule *rule) {
        char access[DEVICE_ACCESS_SIZE];

        fputs(rule->kind == BPF_DEVCG_DEV_BLOCK ? "b " : "c ", f);
        print_number(f, rule->major);
        fputc(':', f);
        print_number(f, rule->minor);
        fprintf(f, " %s", device_access_format(rule->access, access));
}

int device_rules_format(const struct device_rules *rules, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        bool any = false;

        if (!f)
                return -errno;
        for (__u32 i = 0; i < rules->n; i++) {
                if (is_always(&rules->rules[i]))
                        continue;
                if (any)
                        fputs(", ", f);
                print_rule(f, &rules->rules[i]);
                any = true;
        }
        if (!any)
                fputs("none", f);
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

bool device_rules_equal(const struct device_rules *a, const struct device_rules *b) {
        return a->closed == b->closed && a->n == b->n &&
               memcmp(a->rules, b->rules, a->n * sizeof(a->rules[0])) == 0;
}

struct device_rules *device_rules_free(struct device_rules *rules) {
        free(rules);
        return NULL;
}
