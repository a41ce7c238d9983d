// Package erasure removes the personal data of one person at a site or in a directory. The audit
// trail still shows what happened and when.
//
//  1. The operator names the person by user name, or by the id of a deleted
//     account. Erasing is refused while the account is active: it must be
//     deactivated or deleted first.
//  2. The package collects the values that identify the person: every value
//     that the account has or had, if no other account has it too.
//  3. Log entries about the person lose their details. In entries about others,
//     the values become "erased person ID". Time, kind and actor stay.
//  4. The package removes the account with its sessions and links. An event
//     without the person's name records the erasure.
package erasure
