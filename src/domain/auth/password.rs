//! Password hashes: argon2id on a bounded number of threads.
//!
//! A hash costs memory and tens of milliseconds of a core by design. Only a few hashes run at once,
//! and a bounded number waits. If there is more than one core, one is left to other work, and the
//! hashing threads have low priority. The rules for new passwords are in `password_policy`; this
//! module knows no accounts.

use std::num::NonZero;
use std::panic;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;
use tokio::time;

use crate::config::HashConfig;
use crate::domain::Error;
use crate::domain::auth::background;
use crate::domain::auth::password_policy;
use crate::domain::auth::password_policy::PasswordPolicy;

/// Maximum length of a password in bytes. Longer ones are never hashed.
const PASSWORD_BYTES_MAX: usize = 1024;
/// Maximum number of hashes that wait for a thread.
const WAITING_MAX: usize = 100;
/// Maximum time that a hash waits for a thread.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Retry delay reported with [`Error::TooBusy`].
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Maximum cost of a hash to verify, unless the settings ask for more.
const COST_MAX: HashConfig = HashConfig { memory_kib: 262_144, passes: 16, lanes: 16 };
/// Cost of the hashes that Directus makes.
const COST_USUAL: HashConfig = HashConfig { memory_kib: 65_536, passes: 3, lanes: 4 };

/// Computes and verifies password hashes.
pub struct Passwords {
    argon2: Argon2<'static>,
    params: Params,
    policy: PasswordPolicy,
    /// Stands in for a missing hash, so that verification takes equally long.
    dummy: PasswordHash,
    /// One permit for each hash that runs or waits.
    slots: Arc<Semaphore>,
    /// One permit for each hash that may run at the same time.
    threads: Arc<Semaphore>,
}

impl Passwords {
    /// Creates a hasher of this cost. Parameters below the minimum of argon2id are raised.
    #[must_use]
    pub fn new(config: HashConfig) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_slots(config, cores.saturating_sub(1).max(1), WAITING_MAX)
    }

    /// Creates a hasher that runs `threads` hashes at once while `waiting_max` others wait.
    ///
    /// # Panics
    /// If `threads + waiting_max` exceeds the maximum of a semaphore, 2^61.
    #[must_use]
    pub fn with_slots(config: HashConfig, threads: usize, waiting_max: usize) -> Self {
        let lanes = config.lanes.clamp(Params::MIN_P_COST, 255);
        let memory = config.memory_kib.max(Params::MIN_M_COST * lanes);
        let passes = config.passes.max(Params::MIN_T_COST);
        let params = Params::new(memory, passes, lanes, Some(Params::DEFAULT_OUTPUT_LEN))
            .expect("the parameters were raised to the minimums of argon2id");
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone()),
            dummy: dummy(&params),
            params,
            policy: PasswordPolicy::default(),
            slots: Arc::new(Semaphore::new(threads + waiting_max)),
            threads: Arc::new(Semaphore::new(threads)),
        }
    }

    /// Sets the policy for new passwords.
    #[must_use]
    pub fn demanding(self, policy: PasswordPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Checks a new password against the policy and hashes it.
    ///
    /// # Errors
    /// [`Error::FailedValidation`] for a refused password; also as [`Passwords::hash`].
    pub async fn hash_new(&self, password: &str) -> Result<String, Error> {
        require_length(password)?;
        password_policy::check(password, None)?;
        let demands = self.policy.demands().await?;
        if demands.have_patterns() {
            let chosen = password.to_owned();
            self.run(move || demands.check(&chosen)).await??;
        }
        self.hash(password).await
    }

    /// Hashes a password, in PHC format.
    ///
    /// # Errors
    /// [`Error::InvalidPayload`] for a password of more than 1024 bytes; [`Error::TooBusy`] if too
    /// many hashes wait, or memory is short.
    pub async fn hash(&self, password: &str) -> Result<String, Error> {
        require_length(password)?;
        let argon2 = self.argon2.clone();
        let password = password.to_owned();
        self.run(move || argon2.hash_password(password.as_bytes()))
            .await?
            .map(|hash| hash.to_string())
            // Only memory allocation and random numbers can still fail.
            .map_err(|_| Error::TooBusy { retry_after: RETRY_AFTER })
    }

    /// Returns whether the password matches the hash. A hash that is missing, malformed or too
    /// costly never matches, which takes the same time. An empty password and one of more than 1024
    /// bytes never match, and return at once.
    ///
    /// # Errors
    /// [`Error::TooBusy`] if too many hashes wait.
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool, Error> {
        if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let known = hash.and_then(|hash| self.parse(hash));
        let can_fit = known.is_some();
        let hash = known.unwrap_or_else(|| self.dummy.clone());
        let argon2 = self.argon2.clone();
        let password = password.to_owned();
        let fits =
            self.run(move || argon2.verify_password(password.as_bytes(), &hash).is_ok()).await?;
        Ok(can_fit && fits)
    }

    /// Returns whether to replace the hash because its parameters differ from those of new ones.
    #[must_use]
    pub fn needs_rehash(&self, hash: &str) -> bool {
        let Ok(hash) = PasswordHash::new(hash) else { return true };
        let same = Algorithm::try_from(hash.algorithm.as_str()) == Ok(Algorithm::Argon2id)
            && hash.version == Some(Version::V0x13.into())
            && Params::try_from(&hash).is_ok_and(|params| params == self.params);
        !same
    }

    /// Returns whether the hash costs no more to verify than those of Directus or those made here.
    #[must_use]
    pub fn is_usual(&self, hash: &str) -> bool {
        self.parse_within(COST_USUAL, hash).is_some()
    }

    /// Parses a hash, if the cost of verifying it is within bounds.
    fn parse(&self, hash: &str) -> Option<PasswordHash> {
        self.parse_within(COST_MAX, hash)
    }

    fn parse_within(&self, cost_max: HashConfig, hash: &str) -> Option<PasswordHash> {
        let hash = PasswordHash::new(hash).ok()?;
        Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let bounded = params.m_cost() <= cost_max.memory_kib.max(self.params.m_cost())
            && params.t_cost() <= cost_max.passes.max(self.params.t_cost())
            && params.p_cost() <= cost_max.lanes.max(self.params.p_cost());
        (bounded && hash.salt.is_some() && hash.hash.is_some()).then_some(hash)
    }

    /// Runs costly work on a background thread as soon as a permit is free.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let busy = || Error::TooBusy { retry_after: RETRY_AFTER };
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| busy())?;
        let thread = time::timeout(WAIT_MAX, Arc::clone(&self.threads).acquire_owned())
            .await
            .map_err(|_| busy())?
            .expect("the semaphore is never closed");
        let working = background::spawn(move || {
            // The permits move into the work, which continues even if its caller is cancelled.
            let _permits = (slot, thread);
            work()
        });
        match working.map_err(Error::NoThread)?.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(cause)) => panic::resume_unwind(cause),
            Err(_) => Err(busy()),
        }
    }
}

fn require_length(password: &str) -> Result<(), Error> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::payload(format!(
            "\"password\" must not be longer than {PASSWORD_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

/// Returns a hash with these parameters that no password matches: its digest is all zeros.
fn dummy(params: &Params) -> PasswordHash {
    PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).expect("the parameters fit into a PHC string"),
        salt: Some(Salt::new(&[0; 16]).expect("16 bytes are a valid salt")),
        hash: Some(
            Output::new(&[0; Params::DEFAULT_OUTPUT_LEN]).expect("32 bytes are a valid digest"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashConfig = HashConfig { memory_kib: 16, passes: 1, lanes: 1 };

    fn passwords() -> Passwords {
        Passwords::new(CHEAP)
    }

    /// Returns a hash of "secret" made with this argon2 variant and these parameters.
    fn foreign(algorithm: Algorithm, memory_kib: u32, passes: u32, lanes: u32) -> String {
        let params = Params::new(memory_kib, passes, lanes, None).unwrap();
        let argon2 = Argon2::new(algorithm, Version::V0x13, params);
        argon2.hash_password(b"secret").unwrap().to_string()
    }

    #[tokio::test]
    async fn a_hash_verifies_only_its_own_password() {
        let hash = passwords().hash("secret").await.unwrap();

        assert!(hash.starts_with("$argon2id$v=19$m=16,t=1,p=1$"), "{hash}");
        assert!(passwords().verify("secret", Some(&hash)).await.unwrap());
        assert!(!passwords().verify("Secret", Some(&hash)).await.unwrap());
        assert!(!passwords().verify("secret ", Some(&hash)).await.unwrap());
    }

    #[tokio::test]
    async fn two_hashes_of_a_password_differ() {
        let passwords = passwords();

        assert_ne!(passwords.hash("a").await.unwrap(), passwords.hash("a").await.unwrap());
    }

    #[tokio::test]
    async fn a_missing_or_malformed_hash_verifies_nothing() {
        for hash in [None, Some(""), Some("secret"), Some("$argon2id$v=19$m=16,t=1,p=1")] {
            assert!(!passwords().verify("secret", hash).await.unwrap(), "{hash:?}");
        }
    }

    #[tokio::test]
    async fn a_panic_propagates_to_the_caller() {
        let work = passwords();
        let panics = tokio::spawn(async move { work.run(|| panic!("in a test")).await });

        assert!(panics.await.unwrap_err().is_panic());
    }

    #[test]
    fn the_dummy_hash_costs_as_much_as_a_real_one() {
        let passwords = Passwords::new(HashConfig { memory_kib: 64, passes: 3, lanes: 2 });

        assert!(passwords.parse(&passwords.dummy.to_string()).is_some());
        assert!(!passwords.needs_rehash(&passwords.dummy.to_string()));
    }

    #[tokio::test]
    async fn empty_and_overlong_passwords_are_refused() {
        let hash = passwords().argon2.hash_password(b"").unwrap().to_string();
        let endless = "a".repeat(PASSWORD_BYTES_MAX + 1);
        let endless_hash = passwords().argon2.hash_password(endless.as_bytes()).unwrap();

        assert!(!passwords().verify("", Some(&hash)).await.unwrap());
        assert!(!passwords().verify(&endless, Some(&endless_hash.to_string())).await.unwrap());
        assert!(matches!(passwords().hash(&endless).await, Err(Error::InvalidPayload(_))));
        assert!(passwords().hash(&endless[1..]).await.is_ok());
    }

    #[tokio::test]
    async fn hashes_with_other_parameters_verify_and_need_a_rehash() {
        for hash in [
            foreign(Algorithm::Argon2id, 64, 3, 4),
            foreign(Algorithm::Argon2id, 16, 2, 1),
            foreign(Algorithm::Argon2i, 16, 1, 1),
        ] {
            assert!(passwords().verify("secret", Some(&hash)).await.unwrap(), "{hash}");
            assert!(!passwords().verify("wrong", Some(&hash)).await.unwrap(), "{hash}");
            assert!(passwords().needs_rehash(&hash), "{hash}");
        }
    }

    #[tokio::test]
    async fn a_current_hash_needs_no_rehash() {
        let hash = passwords().hash("secret").await.unwrap();

        assert!(!passwords().needs_rehash(&hash));
        assert!(passwords().needs_rehash("no hash"));
    }

    #[tokio::test]
    async fn a_directus_hash_verifies() {
        // Made by another implementation, hash-wasm.
        let hash = "$argon2id$v=19$m=65536,t=3,p=4$MDEyMzQ1Njc4OWFiY2RlZg\
                    $uKZLaN6muIyoyIYr5waqw3y+zaDbe9aLSPj6Ln/rbz4";

        assert!(passwords().verify("password", Some(hash)).await.unwrap());
        assert!(!passwords().verify("passw0rd", Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_with_excessive_cost_is_refused_without_hashing() {
        let digest = "c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

        for cost in ["m=4294967295,t=1,p=1", "m=65536,t=4000000000,p=1", "m=65536,t=1,p=200"] {
            let hash = format!("$argon2id$v=19${cost}${digest}");
            assert!(passwords().parse(&hash).is_none(), "{hash}");
            assert!(!passwords().verify("secret", Some(&hash)).await.unwrap());
        }
        assert!(passwords().parse(&format!("$argon2id$v=19$m=65536,t=3,p=4${digest}")).is_some());
    }

    #[test]
    fn usual_hashes_cost_no_more_than_directus_or_own_hashes() {
        let digest = "c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let costly = HashConfig { memory_kib: 65_537, passes: 4, lanes: 5 };
        for (cost, is_usual) in [
            ("m=16,t=1,p=1", true),
            ("m=65536,t=3,p=4", true),
            ("m=65537,t=3,p=4", false),
            ("m=65536,t=4,p=4", false),
            ("m=65536,t=3,p=5", false),
            ("m=262144,t=16,p=16", false),
        ] {
            let hash = format!("$argon2id$v=19${cost}${digest}");
            assert_eq!(passwords().is_usual(&hash), is_usual, "{cost}");
        }
        let own = format!("$argon2id$v=19$m=65537,t=4,p=5${digest}");
        assert!(Passwords::with_slots(costly, 1, 0).is_usual(&own));
        assert!(!passwords().is_usual("$argon2id$"));
        assert!(!passwords().is_usual("secret"));
    }

    #[tokio::test]
    async fn costs_below_the_argon2id_minimum_are_raised() {
        let passwords = Passwords::new(HashConfig { memory_kib: 0, passes: 0, lanes: 0 });

        let hash = passwords.hash("secret").await.unwrap();

        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(!passwords.needs_rehash(&hash));
    }

    #[tokio::test]
    async fn the_policy_applies_only_to_new_passwords() {
        let refused = passwords().hash_new("password").await;

        assert!(matches!(refused, Err(Error::FailedValidation(_))), "{refused:?}");
        let hash = passwords().hash_new("correct horse").await.unwrap();
        assert!(passwords().verify("correct horse", Some(&hash)).await.unwrap());
        let old = passwords().hash("password").await.unwrap();
        assert!(passwords().verify("password", Some(&old)).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_hashing_queue_returns_too_busy() {
        let passwords = Passwords::with_slots(CHEAP, 1, 2);
        let _taken = Arc::clone(&passwords.slots).try_acquire_many_owned(3).unwrap();

        assert!(matches!(passwords.hash("secret").await, Err(Error::TooBusy { .. })));
        assert!(matches!(passwords.verify("secret", None).await, Err(Error::TooBusy { .. })));
    }

    #[tokio::test]
    async fn hashing_permits_are_released() {
        let passwords = Passwords::with_slots(CHEAP, 1, 0);

        for _ in 0..3 {
            passwords.hash("secret").await.unwrap();
        }

        assert_eq!(passwords.slots.available_permits(), 1);
        assert_eq!(passwords.threads.available_permits(), 1);
    }
}
