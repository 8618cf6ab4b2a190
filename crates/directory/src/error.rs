use crate::AddressFault;
use db::AccountId;

/// Why the directory refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// Not an address.
    #[error("\"{text}\" is not an address: {fault}")]
    Address {
        /// What was given.
        text: String,
        /// What is wrong with it.
        fault: AddressFault,
    },
    /// Not a domain.
    #[error("\"{text}\" is not a domain: {fault}")]
    Domain {
        /// What was given.
        text: String,
        /// What is wrong with it.
        fault: AddressFault,
    },
    /// The domain is not one of ours.
    #[error("{0} is not a domain of this server; add it first: rohrpost domain add {0}")]
    NoSuchDomain(String),
    /// The domain is there already.
    #[error("{0} is a domain of this server already")]
    DomainExists(String),
    /// The domain still has addresses.
    #[error("{domain} still has {addresses} addresses; delete or move its accounts and aliases first")]
    DomainInUse {
        /// The domain.
        domain: String,
        /// How many addresses it has.
        addresses: usize,
    },
    /// The address belongs to an account or is an alias.
    #[error("{0} is taken")]
    AddressTaken(String),
    /// No account has this address.
    #[error("there is no account {0}")]
    NoSuchAccount(String),
    /// No account has this id.
    #[error("there is no account with id {0}")]
    NoSuchAccountId(AccountId),
    /// The account does not have this address.
    #[error("the account has no address {0}")]
    NoSuchAddress(String),
    /// The only address of an account can't be taken from it.
    #[error("{0} is the account's only address; add another first, or delete the account")]
    LastAddress(String),
    /// The account is no group mailbox.
    #[error("that account is a person's, not a group mailbox")]
    NotAGroup,
    /// Members of a group mailbox are people.
    #[error("a group mailbox cannot be a member of another; add its members")]
    GroupInGroup,
    /// Nobody logs into a group mailbox.
    #[error("a group mailbox has no password: its members open it from their own accounts")]
    GroupPassword,
    /// No such alias.
    #[error("there is no alias {0}")]
    NoSuchAlias(String),
    /// An alias must lead somewhere.
    #[error("an alias needs at least one target")]
    NoTargets,
    /// The alias would lead back to itself.
    #[error("this would make a loop: {0}")]
    Loop(String),
    /// More of something than [`crate::Limits`] allow.
    #[error("too many {what}: at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The keys that access tokens are verified with can't be used.
    #[error("{}: {reason}", file.display())]
    TokenKeys {
        /// The key file.
        file: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The password can't be used.
    #[error("this password can't be used: {0}")]
    Password(&'static str),
    /// The person's name can't be used.
    #[error("this name can't be used: it has control characters or is longer than {limit} octets")]
    Name {
        /// The limit.
        limit: usize,
    },
    /// So many logins wait already that this one was turned away; a temporary failure.
    #[error("too many logins at once; try again in a moment")]
    TooManyLogins,
    /// The stored hash of an account can't be read.
    #[error("the stored password of account {account} is damaged; set a new one")]
    CredentialDamaged {
        /// Whose.
        account: AccountId,
    },
    /// A hash could not be computed.
    #[error("password hash: {0}")]
    Hash(String),
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;
