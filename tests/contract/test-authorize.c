/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may call what, by user id and group. */

#include "api/authorize.h"

#include <criterion/criterion.h>
#include <errno.h>

static const struct {
        const char *name;
        uid_t uid;
        AccessLevel level;
        bool granted;
} access_cases[] = {
        { "root may all", 0, ACCESS_ROOT, true },
        { "root may not what is not in the table", 0, ACCESS_NOBODY, false },
        { "nobody may ask where the handler decides", 65534, ACCESS_ANYONE, true },
        { "nobody may not read", 65534, ACCESS_READER, false },
        { "nobody may not push", 65534, ACCESS_SCHEDULER, false },
        { "nobody is not root", 65534, ACCESS_ROOT, false },
        { "a user that the system does not know", 4242424, ACCESS_READER, false },
        { "a scheduler pushes", 2, ACCESS_SCHEDULER, true },
        { "a scheduler reads", 2, ACCESS_READER, true },
        { "a scheduler is not root", 2, ACCESS_ROOT, false },
};

/* Once it is known who that is: how long that may take is test-user-database's. */
static bool is_granted(UserDatabase *users, uid_t uid, AccessLevel level, char *const *schedulers) {
        User user;

        while (user_database_find(users, uid, &user) == -EAGAIN)
                ;
        return authorize_user(users, uid, level, schedulers);
}

Test(authorize, by_user) {
        char *schedulers[] = { (char *) "bin", NULL }; /* uid 2 on every Debian */
        _cleanup_(user_database_free_p) UserDatabase *users = NULL;

        cr_assert_eq(user_database_new("no-such-group", &users), 0);
        for (size_t i = 0; i < ELEMENTSOF(access_cases); i++)
                cr_expect_eq(is_granted(users, access_cases[i].uid, access_cases[i].level, schedulers),
                                access_cases[i].granted, "%s", access_cases[i].name);
}

Test(authorize, a_groups_members_read) {
        _cleanup_(user_database_free_p) UserDatabase *users = NULL;

        /* "daemon" (uid 1) has the group of its name as its own. */
        cr_assert_eq(user_database_new("daemon", &users), 0);
        cr_expect(is_granted(users, 1, ACCESS_READER, NULL));
        cr_expect_not(is_granted(users, 1, ACCESS_SCHEDULER, NULL));
        cr_expect_not(is_granted(users, 2, ACCESS_READER, NULL));
}
