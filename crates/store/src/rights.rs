//! Rights, and whose they are. RFC 4314 §2.

use crate::AccountId;
use std::fmt;
use std::ops::{BitAnd, BitOr, Not};

/// Most entries in one access control list: each is looked at whenever somebody names the mailbox.
pub const MAX_ACL_ENTRIES: usize = 1000;

/// A set of rights (RFC 4314 §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(u16);

impl Rights {
    /// No right.
    pub const NONE: Rights = Rights(0);
    /// `l`: the mailbox is there for LIST, and for everything else.
    pub const LOOKUP: Rights = Rights(1);
    /// `r`: SELECT, STATUS.
    pub const READ: Rights = Rights(1 << 1);
    /// `s`: `\Seen`.
    pub const SEEN: Rights = Rights(1 << 2);
    /// `w`: flags other than `\Seen` and `\Deleted`.
    pub const WRITE: Rights = Rights(1 << 3);
    /// `i`: APPEND, COPY into it.
    pub const INSERT: Rights = Rights(1 << 4);
    /// `p`: mail sent to its address.
    pub const POST: Rights = Rights(1 << 5);
    /// `k`: CREATE below it.
    pub const CREATE: Rights = Rights(1 << 6);
    /// `x`: DELETE.
    pub const DELETE_MAILBOX: Rights = Rights(1 << 7);
    /// `t`: `\Deleted`.
    pub const DELETED: Rights = Rights(1 << 8);
    /// `e`: EXPUNGE.
    pub const EXPUNGE: Rights = Rights(1 << 9);
    /// `a`: SETACL and its kin.
    pub const ADMINISTER: Rights = Rights(1 << 10);
    /// All of them: what the owner has.
    pub const ALL: Rights = Rights((1 << 11) - 1);

    const LETTERS: [(char, Rights); 11] = [
        ('l', Rights::LOOKUP),
        ('r', Rights::READ),
        ('s', Rights::SEEN),
        ('w', Rights::WRITE),
        ('i', Rights::INSERT),
        ('p', Rights::POST),
        ('k', Rights::CREATE),
        ('x', Rights::DELETE_MAILBOX),
        ('t', Rights::DELETED),
        ('e', Rights::EXPUNGE),
        ('a', Rights::ADMINISTER),
    ];
    /// RFC 4314 §2.1.1: what RFC 2086 called `c` is creating and deleting mailboxes here,
    const OLD_CREATE: Rights = Rights(Rights::CREATE.0 | Rights::DELETE_MAILBOX.0);
    /// and its `d` deleting and expunging messages.
    const OLD_DELETE: Rights = Rights(Rights::DELETED.0 | Rights::EXPUNGE.0);

    /// The rights of these letters, `c` and `d` of RFC 2086 among them. `Err`: a letter that is no right.
    pub fn parse(letters: &str) -> Result<Rights, char> {
        let mut rights = Rights::NONE;
        for letter in letters.chars() {
            rights = rights
                | match letter {
                    'c' => Rights::OLD_CREATE,
                    'd' => Rights::OLD_DELETE,
                    letter => {
                        let known = Rights::LETTERS.iter().find(|(known, _)| *known == letter);
                        known.map(|(_, right)| *right).ok_or(letter)?
                    }
                };
        }
        Ok(rights)
    }

    /// Whether all of `other` are in this set.
    pub fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in this set.
    pub fn intersects(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As IMAP shows them: with `c` and `d` where any right is among them that was part of those (RFC 4314 §2.1.1).
    pub fn letters_with_old(self) -> String {
        let mut letters = self.to_string();
        let old = [(Rights::OLD_CREATE, 'c'), (Rights::OLD_DELETE, 'd')];
        letters.extend(
            old.iter()
                .filter(|(part, _)| self.intersects(*part))
                .map(|(_, letter)| letter),
        );
        letters
    }
}

/// The letters, without those of RFC 2086.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mine = Rights::LETTERS.iter().filter(|(_, right)| self.contains(*right));
        mine.into_iter().try_for_each(|(letter, _)| f.write_char(*letter))
    }
}

impl BitOr for Rights {
    type Output = Rights;
    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl BitAnd for Rights {
    type Output = Rights;
    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl Not for Rights {
    type Output = Rights;
    fn not(self) -> Rights {
        Rights(!self.0 & Rights::ALL.0)
    }
}

/// Whom an entry is about. Accounts and groups stand here by their ids, so that an address given to somebody else later brings nothing
/// with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    /// `anyone`
    Anyone,
    /// `authenticated`: the same here, where nobody is anonymous.
    Authenticated,
    /// An account.
    Account(AccountId),
    /// The members of a group.
    Group(AccountId),
}

impl Identifier {
    /// From the form it is kept in.
    pub fn parse(text: &str) -> Option<Identifier> {
        Some(match text {
            "anyone" => Identifier::Anyone,
            "authenticated" => Identifier::Authenticated,
            text => {
                let (kind, id) = text.split_once(':')?;
                let id = AccountId(id.parse().ok()?);
                match kind {
                    "account" => Identifier::Account(id),
                    "group" => Identifier::Group(id),
                    _ => return None,
                }
            }
        })
    }
}

/// The form it is kept in.
impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identifier::Anyone => f.write_str("anyone"),
            Identifier::Authenticated => f.write_str("authenticated"),
            Identifier::Account(id) => write!(f, "account:{id}"),
            Identifier::Group(id) => write!(f, "group:{id}"),
        }
    }
}

/// Somebody who wants to do something, with the groups he is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The account.
    pub account: AccountId,
    /// The groups it is a member of.
    pub groups: Vec<AccountId>,
}

impl Who {
    /// Whether an entry is about him.
    pub fn is(&self, identifier: Identifier) -> bool {
        match identifier {
            Identifier::Anyone | Identifier::Authenticated => true,
            Identifier::Account(id) => id == self.account,
            Identifier::Group(id) => self.groups.contains(&id),
        }
    }
}

/// An entry of an access control list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Whom it is about.
    pub identifier: Identifier,
    /// The rights are taken away, whatever other entries give.
    pub negative: bool,
    /// Which.
    pub rights: Rights,
}

/// An access control list. The account's owner is not in it: he has all rights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    entries: Vec<AclEntry>,
}

impl Acl {
    /// The entries, by identifier.
    pub fn entries(&self) -> &[AclEntry] {
        &self.entries
    }

    /// What somebody may do who is not the owner: all that some entry gives him and none takes away.
    pub fn rights_of(&self, who: &Who) -> Rights {
        let sum = |negative: bool| {
            let mine = self
                .entries
                .iter()
                .filter(|e| e.negative == negative && who.is(e.identifier));
            mine.fold(Rights::NONE, |sum, entry| sum | entry.rights)
        };
        sum(false) & !sum(true)
    }

    /// The rights of one entry.
    pub fn rights(&self, identifier: Identifier, negative: bool) -> Rights {
        let found = self
            .entries
            .iter()
            .find(|e| e.identifier == identifier && e.negative == negative);
        found.map_or(Rights::NONE, |entry| entry.rights)
    }

    /// Puts an entry in, in place of an old one; without rights there is none.
    pub(crate) fn set(&mut self, entry: AclEntry) {
        let key = |e: &AclEntry| (e.identifier, e.negative);
        self.entries.retain(|e| key(e) != key(&entry));
        if !entry.rights.is_empty() {
            self.entries.push(entry);
            self.entries.sort_by_key(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters() {
        for (letters, shown, with_old) in [
            ("", "", ""),
            ("lr", "lr", "lr"),
            ("aetxkpiwsrl", "lrswipkxtea", "lrswipkxteacd"),
            // RFC 4314 §2.1.1
            ("lrswida", "lrswitea", "lrswitead"),
            ("lrswikda", "lrswiktea", "lrswikteacd"),
            ("c", "kx", "kxc"),
            ("t", "t", "td"),
        ] {
            let rights = Rights::parse(letters).unwrap();
            assert_eq!(
                (rights.to_string().as_str(), rights.letters_with_old().as_str()),
                (shown, with_old)
            );
            assert_eq!(Rights::parse(with_old).unwrap() & rights, rights);
        }
        assert_eq!(Rights::parse("lz"), Err('z'));
        assert_eq!(Rights::parse("lR"), Err('R'));
    }

    #[test]
    fn who_may_what() {
        let (ada, bob, team) = (AccountId(1), AccountId(2), AccountId(3));
        let who = |account, groups: &[AccountId]| Who {
            account,
            groups: groups.to_vec(),
        };
        let mut acl = Acl::default();
        let mut set = |text: &str, negative, rights: &str| {
            acl.set(AclEntry {
                identifier: Identifier::parse(text).unwrap(),
                negative,
                rights: Rights::parse(rights).unwrap(),
            });
        };
        set("anyone", false, "l");
        set("group:3", false, "rswi");
        set("account:2", true, "w");
        set("account:1", false, "x");
        set("account:1", false, "");
        assert_eq!(acl.rights_of(&who(ada, &[])).to_string(), "l");
        assert_eq!(acl.rights_of(&who(ada, &[team])).to_string(), "lrswi");
        assert_eq!(acl.rights_of(&who(bob, &[team])).to_string(), "lrsi");
        assert_eq!(acl.entries().len(), 3);
        for identifier in [
            Identifier::Anyone,
            Identifier::Authenticated,
            Identifier::Account(ada),
            Identifier::Group(team),
        ] {
            assert_eq!(Identifier::parse(&identifier.to_string()), Some(identifier));
        }
        for bad in ["", "ada", "account:", "user:1", "account:x"] {
            assert_eq!(Identifier::parse(bad), None, "{bad}");
        }
    }
}
