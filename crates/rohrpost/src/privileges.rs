//! Ceasing to be root. Ports are bound first; then this, while the process has one thread; threads started later inherit it.

use crate::failure::Failure;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::path::Path;

/// A user and a group by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Looks `user` and `group` up in `/etc/passwd` and `/etc/group`; numbers stand for themselves.
pub fn identity(user: &str, group: Option<&str>) -> Result<Identity, Failure> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    identity_in(user, group, &passwd, &groups)
}

fn identity_in(user: &str, group: Option<&str>, passwd: &str, groups: &str) -> Result<Identity, Failure> {
    let number = |line: Option<&str>, field: usize| line?.split(':').nth(field)?.parse::<u32>().ok();
    let entry = |table: &'_ str, name: &str| {
        table
            .lines()
            .find(|l| {
                let mut fields = l.split(':');
                fields.next() == Some(name) || fields.nth(1) == Some(name)
            })
            .map(str::to_owned)
    };
    let line = entry(passwd, user);
    let uid = number(line.as_deref(), 2)
        .or_else(|| user.parse().ok())
        .ok_or_else(|| {
            Failure::usage(format!("there is no user {user} in /etc/passwd")).advise(format!(
                "useradd --system --home-dir /var/lib/rohrpost --shell /usr/sbin/nologin {user}"
            ))
        })?;
    let gid = match group {
        Some(group) => number(entry(groups, group).as_deref(), 2).or_else(|| group.parse().ok()),
        None => number(line.as_deref(), 3),
    };
    let gid = gid.ok_or_else(|| {
        Failure::usage(match group {
            Some(group) => format!("there is no group {group} in /etc/group"),
            None => format!("user {user} has no group in /etc/passwd; set `group`"),
        })
    })?;
    Ok(Identity { uid, gid })
}

/// Becomes `identity` for good: groups, group, user, in that order, and proves that the way back is shut.
pub fn become_identity(identity: Identity) -> Result<(), Failure> {
    let fault = |e: rustix::io::Errno| {
        Failure::new(format!(
            "cannot become user {} group {}: {e}",
            identity.uid, identity.gid
        ))
        .advise("start as root, or leave `user` and `group` out of the settings")
    };
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    set_thread_groups(&[gid]).map_err(fault)?;
    set_thread_res_gid(gid, gid, gid).map_err(fault)?;
    set_thread_res_uid(uid, uid, uid).map_err(fault)?;
    if !uid.is_root() && set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok() {
        return Err(Failure::new("root privileges came back after they were dropped"));
    }
    Ok(())
}

/// When root runs a command on a data directory that is another user's, it becomes that user, so that no file in it ends up root's.
pub fn become_owner_of(data: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = std::fs::metadata(data) else {
        return Ok(());
    };
    if !is_root() || metadata.uid() == 0 {
        return Ok(());
    }
    become_identity(Identity {
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nmail:x:8:80:mail:/var/mail:/bin/false\n";
        let groups = "root:x:0:\nvmail:x:500:mail\n";
        let found = |user, group| {
            identity_in(user, group, passwd, groups)
                .map(|i| (i.uid, i.gid))
                .map_err(|e| e.message)
        };
        assert_eq!(found("mail", None), Ok((8, 80)));
        assert_eq!(found("8", None), Ok((8, 80)));
        assert_eq!(found("mail", Some("vmail")), Ok((8, 500)));
        assert_eq!(found("1234", Some("99")), Ok((1234, 99)));
        assert_eq!(
            found("nobody", None),
            Err("there is no user nobody in /etc/passwd".to_owned())
        );
        assert_eq!(
            found("mail", Some("x")),
            Err("there is no group x in /etc/group".to_owned())
        );
        assert_eq!(
            found("1234", None),
            Err("user 1234 has no group in /etc/passwd; set `group`".to_owned())
        );
    }
}
