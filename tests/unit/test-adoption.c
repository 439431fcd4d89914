/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/node.h"

#include <criterion/criterion.h>
#include <string.h>

#define BOOT "0123456789abcdef0123456789abcdef"

static Tenant alpha = { .id = (char *) "alpha" }, beta = { .id = (char *) "beta" };
static Tenant *tenants[] = { &alpha, &beta };
static const Node node = { .tenants = tenants, .n_tenants = 2 };
static char *control_groups[] = { (char *) "/system.slice/telemetry.service", NULL };
static const AdoptionRules rules = { "/headgate.slice", control_groups, 100 };

static void adopt_two(void) {
        cr_assert_eq(adopted_groups_add(&alpha.adopted, "/kubepods/pod1", 11, BOOT), 0);
        cr_assert_eq(adopted_groups_add(&beta.adopted, "/job_2/step_0", 22, BOOT), 0);
}

static void give_up(void) {
        adopted_groups_deinit(&alpha.adopted);
        adopted_groups_deinit(&beta.adopted);
}

TestSuite(adoption, .init = adopt_two, .fini = give_up);

static const struct {
        const char *name, *path;
        int code;
        const char *words;
} cases[] = {
        { "a pod", "/kubepods/pod2", 0, NULL },
        { "a user's session", "/user.slice/user-1000.slice/session-1.scope", 0, NULL },
        { "dots in a name", "/a/..b/...", 0, NULL },
        { "as another's name goes on", "/kubepods/pod10", 0, NULL },
        { "as our name goes on", "/headgate.slice2", 0, NULL },
        { "as a control group's goes on", "/system.slice/telemetry.service2", 0, NULL },
        { "its own already", "/kubepods/pod1", -EALREADY, NULL },
        { "another's", "/job_2/step_0", FAILURE_INVALID_GROUP,
                        "is '/job_2/step_0', which tenant beta has adopted" },
        { "below another's", "/job_2/step_0/task", FAILURE_INVALID_GROUP, "is below '/job_2/step_0'" },
        { "above another's", "/job_2", FAILURE_INVALID_GROUP, "is above '/job_2/step_0'" },
        { "below its own", "/kubepods/pod1/c", FAILURE_INVALID_GROUP,
                        "is below '/kubepods/pod1', which tenant alpha" },
        { "nothing", "", FAILURE_INVALID_GROUP, "begins with '/'" },
        { "no slash before", "kubepods/pod2", FAILURE_INVALID_GROUP, "begins with '/'" },
        { "the root", "/", FAILURE_INVALID_GROUP, "the root of all groups" },
        { "a slash behind", "/kubepods/", FAILURE_INVALID_GROUP, "empty part" },
        { "two slashes", "/kubepods//pod2", FAILURE_INVALID_GROUP, "empty part" },
        { "up", "/kubepods/../pod2", FAILURE_INVALID_GROUP, "'..'" },
        { "here", "/kubepods/.", FAILURE_INVALID_GROUP, "'.'" },
        { "a newline", "/kube\npods", FAILURE_INVALID_GROUP, "control character" },
        { "our parent", "/headgate.slice", FAILURE_INVALID_GROUP, "Headgate's own" },
        { "a tenant's", "/headgate.slice/headgate-alpha.slice", FAILURE_INVALID_GROUP,
                        "its tenant's already" },
        { "of the control class", "/system.slice/telemetry.service", FAILURE_INVALID_GROUP, "control class" },
        { "above the control class", "/system.slice", FAILURE_ACCESS_DENIED, "only root" },
        { "all users", "/user.slice", FAILURE_ACCESS_DENIED, "only root" },
        { "all machines", "/machine.slice", FAILURE_ACCESS_DENIED, "only root" },
        { "PID 1", "/init.scope", FAILURE_ACCESS_DENIED, "only root" },
        { "one that is called so elsewhere", "/a/user.slice", 0, NULL },
};

Test(adoption, rules) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_failure_ Failure failure = FAILURE_NULL;

                cr_expect_eq(adoption_judge(&node, "alpha", cases[i].path, &rules, &failure), cases[i].code,
                                "%s", cases[i].name);
                if (cases[i].words)
                        cr_expect_not_null(strstr(failure.message ?: "", cases[i].words), "%s: %s",
                                        cases[i].name, failure.message);
        }
}

Test(adoption, what_root_may) {
        AdoptionRules of_root = rules;

        of_root.privileged = true;
        for (size_t i = 0; i < 3; i++) {
                static const struct {
                        const char *path;
                        int code;
                } paths[] = { { "/user.slice", 0 }, { "/init.scope", 0 },
                        { "/system.slice", FAILURE_INVALID_GROUP } };
                _cleanup_failure_ Failure failure = FAILURE_NULL;

                cr_expect_eq(adoption_judge(&node, "alpha", paths[i].path, &of_root, &failure), paths[i].code,
                                "%s", paths[i].path);
        }
}

Test(adoption, what_holds_our_own_is_not_adopted) {
        const AdoptionRules deep = { "/node/delegated/headgate", NULL, 100 };
        _cleanup_failure_ Failure failure = FAILURE_NULL;

        cr_expect_eq(adoption_judge(&node, "alpha", "/node", &deep, &failure), FAILURE_INVALID_GROUP);
        cr_expect_not_null(strstr(failure.message, "holds Headgate's own, /node/delegated/headgate"));
        cr_expect_eq(adoption_judge(&node, "alpha", "/node/other", &deep, &failure), 0);
}

Test(adoption, path_too_long) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        char path[ADOPTED_PATH_MAX + 2];

        memset(path, 'a', sizeof path);
        path[0] = '/';
        path[ADOPTED_PATH_MAX] = '\0';
        cr_expect_eq(adoption_judge(&node, "alpha", path, &rules, &failure), 0);
        path[ADOPTED_PATH_MAX] = 'a';
        path[ADOPTED_PATH_MAX + 1] = '\0';
        cr_expect_eq(adoption_judge(&node, "alpha", path, &rules, &failure), FAILURE_INVALID_GROUP);
        cr_expect_not_null(strstr(failure.message, "1024 bytes, of at most 1023"));
}

Test(adoption, not_without_bound) {
        _cleanup_failure_ Failure failure = FAILURE_NULL;
        const AdoptionRules few = { "/headgate.slice", NULL, 65 };
        char path[32];

        for (unsigned i = 1; i < ADOPTED_PER_TENANT_MAX; i++) {
                snprintf(path, sizeof path, "/pod-%u", i);
                cr_expect_eq(adoption_judge(&node, "alpha", path, &rules, &failure), 0, "%s", path);
                cr_assert_eq(adopted_groups_add(&alpha.adopted, path, i, BOOT), 0);
        }
        cr_expect_eq(adoption_judge(&node, "alpha", "/more", &rules, &failure), FAILURE_LIMIT_EXCEEDED);
        cr_expect_not_null(strstr(failure.message, "64 groups, of at most 64"), "%s", failure.message);
        cr_expect_eq(adoption_judge(&node, "beta", "/more", &rules, &failure), 0);
        cr_expect_eq(adoption_judge(&node, "beta", "/more", &few, &failure), FAILURE_LIMIT_EXCEEDED);
        cr_expect_not_null(
                        strstr(failure.message, "65 groups together, of at most 65"), "%s", failure.message);
}

Test(adoption, texts) {
        static const char *const bad[] = { "", BOOT, BOOT " 1f", BOOT " 1f ", BOOT " x /a", "x 1 /a",
                BOOT " 1f a" };
        _cleanup_free_ char *text = adopted_group_format(&alpha.adopted.entries[0]);
        AdoptedGroups groups = {};

        cr_assert_str_eq(text, BOOT " b /kubepods/pod1");
        cr_assert_eq(adopted_groups_parse(&groups, text), 0);
        cr_assert_eq(adopted_groups_parse(&groups, BOOT " ffffffffffffffff /with a space"), 0);
        cr_expect_str_eq(groups.entries[0].path, "/kubepods/pod1");
        cr_expect_eq(groups.entries[0].id, 11);
        cr_expect_str_eq(groups.entries[0].boot_id, BOOT);
        cr_expect_str_eq(groups.entries[1].path, "/with a space");
        cr_expect_eq(groups.entries[1].id, UINT64_MAX);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                cr_expect_eq(adopted_groups_parse(&groups, bad[i]), -EBADMSG, "'%s'", bad[i]);
        adopted_groups_remove(&groups, "/kubepods/pod1");
        cr_expect_eq(groups.n, 1);
        cr_expect_null(adopted_groups_find(&groups, "/kubepods/pod1"));
        cr_expect_not_null(adopted_groups_find(&groups, "/with a space"));
        adopted_groups_deinit(&groups);
}
