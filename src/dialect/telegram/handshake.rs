//! How a client and this server agree on a key that nobody else knows: two rounds of Diffie and Hellman's exchange, in which
//! RSA shows who the server is.
//!
//! ```text
//! req_pq, req_pq_multi    -> resPQ                  nonces, a number to take apart, which RSA key
//! req_DH_params           -> server_DH_params_ok    the client's new nonce under RSA; g_a under a key made of the nonces
//! set_client_DH_params    -> dh_gen_ok, _retry      g_b under the same key
//! ```
//! Nothing of it is kept before the last step. Whatever is not as it must be ends the connection: a client that follows the
//! protocol never sees that.

use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::cipher::{BLOCK_BYTES, IgeKey};
use super::digest::{sha1, sha256};
use super::modular::{Modulus, NUMBER_BYTES, Number};
use super::pq::two_primes;
use super::prime::{GENERATOR, PRIME};
use super::rsa_key::{RsaKey, padded};
use super::schema::{
    CLIENT_DH_INNER_DATA, DH_GEN_FAIL, DH_GEN_OK, DH_GEN_RETRY, P_Q_INNER_DATA, P_Q_INNER_DATA_DC,
    P_Q_INNER_DATA_TEMP, P_Q_INNER_DATA_TEMP_DC, REQ_DH_PARAMS, REQ_PQ, REQ_PQ_MULTI, RES_PQ,
    SERVER_DH_INNER_DATA, SERVER_DH_PARAMS_OK, SET_CLIENT_DH_PARAMS,
};
use super::tl::{MalformedTl, TlReader, TlWriter};
use crate::domain::entropy::Entropy;
use crate::domain::time::Timestamp;

/// What all handshakes have in common.
#[derive(Debug)]
pub struct HandshakeKeys {
    /// What clients know the server by.
    pub rsa: RsaKey,
    prime: Modulus,
}

impl HandshakeKeys {
    /// Those of a server with this RSA key.
    ///
    /// # Panics
    /// Never: the prime is odd and has 2048 bits.
    #[must_use]
    pub fn new(rsa: RsaKey) -> Self {
        let prime = Modulus::new(&PRIME).expect("the prime is odd and has 2048 bits");
        Self { rsa, prime }
    }
}

/// How far a client has come.
#[derive(Default)]
pub enum Handshake {
    /// It has not begun.
    #[default]
    Awaited,
    /// It was given a number to take apart.
    Asked(Nonces, (u32, u32)),
    /// It was given half of a key.
    Offered(Box<Offer>),
}

/// The nonces of both sides.
#[derive(Clone, Copy)]
pub struct Nonces {
    client: [u8; 16],
    server: [u8; 16],
}

/// What the server keeps of the half that it has given.
pub struct Offer {
    nonces: Nonces,
    new_nonce: Zeroizing<[u8; 32]>,
    secret: Zeroizing<Number>,
    ige: IgeKey,
    /// For how long the client wants the key, in seconds; for good if `None`.
    life: Option<u32>,
    /// How the key was called that was already taken.
    retried: Option<i64>,
}

/// What becomes of a message of a client.
#[derive(Debug)]
pub enum HandshakeStep {
    /// It is answered with this.
    Answer(Vec<u8>),
    /// Both have a key.
    Agreed(Box<Agreed>),
}

/// What both sides have in the end.
pub struct Agreed {
    /// The key.
    pub key: Zeroizing<Number>,
    /// For how long the client wants it, in seconds; for good if `None`.
    pub life: Option<u32>,
    /// What the client is told if the key is kept.
    pub accepted: Vec<u8>,
    /// What it is told if there is another key of this name; it makes another one then.
    pub taken: Vec<u8>,
    /// What it is told if the key cannot be kept.
    pub refused: Vec<u8>,
    /// What the client's next try goes on from.
    pub again: Handshake,
}

impl Handshake {
    /// Goes on with what a client sent, which is not encrypted. Raises numbers to powers, for some milliseconds.
    ///
    /// # Errors
    /// [`MalformedTl`] when it is not the next step, or anything in it is not as it must be.
    pub fn step(
        self,
        keys: &HandshakeKeys,
        entropy: &dyn Entropy,
        now: Timestamp,
        message: &[u8],
    ) -> Result<(Self, HandshakeStep), MalformedTl> {
        let mut reader = TlReader::new(message);
        match (reader.word()?, self) {
            // Whoever asks anew begins anew.
            (REQ_PQ | REQ_PQ_MULTI, _) => Ok(ask(keys, entropy, reader)?),
            (REQ_DH_PARAMS, Self::Asked(nonces, primes)) => {
                let inner = InnerData::of_request(keys, entropy, nonces, primes, reader)?;
                Ok(offer(keys, entropy, now, nonces, inner))
            }
            (SET_CLIENT_DH_PARAMS, Self::Offered(offer)) => {
                let agreed = agree(keys, *offer, reader)?;
                Ok((Self::Awaited, HandshakeStep::Agreed(Box::new(agreed))))
            }
            _ => Err(MalformedTl),
        }
    }
}

fn ask(
    keys: &HandshakeKeys,
    entropy: &dyn Entropy,
    mut reader: TlReader<'_>,
) -> Result<(Handshake, HandshakeStep), MalformedTl> {
    let client = reader.array()?;
    reader.end()?;
    let mut server = [0; 16];
    entropy.fill(&mut server);
    let nonces = Nonces { client, server };
    let primes = two_primes(entropy);
    let product = u64::from(primes.0) * u64::from(primes.1);
    let answer = nonces
        .write(TlWriter::of(RES_PQ))
        .bytes(&product.to_be_bytes())
        .longs(&[keys.rsa.fingerprint()])
        .done();
    Ok((Handshake::Asked(nonces, primes), HandshakeStep::Answer(answer)))
}

/// What a client encrypts with RSA.
struct InnerData {
    new_nonce: Zeroizing<[u8; 32]>,
    life: Option<u32>,
}

impl InnerData {
    fn of_request(
        keys: &HandshakeKeys,
        entropy: &dyn Entropy,
        nonces: Nonces,
        primes: (u32, u32),
        mut reader: TlReader<'_>,
    ) -> Result<Self, MalformedTl> {
        nonces.require(&mut reader)?;
        require_factors(primes, &mut reader)?;
        if reader.long()? != keys.rsa.fingerprint() {
            return Err(MalformedTl);
        }
        let encrypted: Number = reader.bytes()?.try_into().map_err(|_| MalformedTl)?;
        reader.end()?;
        let decrypted = keys.rsa.decrypt(&encrypted, entropy).ok_or(MalformedTl)?;
        let data = unpad(&decrypted).ok_or(MalformedTl)?;
        Self::read(nonces, primes, &mut TlReader::new(&data))
    }

    fn read(nonces: Nonces, primes: (u32, u32), reader: &mut TlReader<'_>) -> Result<Self, MalformedTl> {
        let constructor = reader.word()?;
        let product = u64::from(primes.0) * u64::from(primes.1);
        if number(reader.bytes()?)? != product {
            return Err(MalformedTl);
        }
        require_factors(primes, reader)?;
        nonces.require(reader)?;
        let new_nonce = Zeroizing::new(reader.array()?);
        if let P_Q_INNER_DATA_DC | P_Q_INNER_DATA_TEMP_DC = constructor {
            let _data_center = reader.int()?;
        }
        let life = match constructor {
            P_Q_INNER_DATA | P_Q_INNER_DATA_DC => None,
            P_Q_INNER_DATA_TEMP | P_Q_INNER_DATA_TEMP_DC => {
                Some(u32::try_from(reader.int()?).map_err(|_| MalformedTl)?)
            }
            _ => return Err(MalformedTl),
        };
        Ok(Self { new_nonce, life })
    }
}

/// Both factors, as strings, the lesser one first.
fn require_factors((lesser, greater): (u32, u32), reader: &mut TlReader<'_>) -> Result<(), MalformedTl> {
    let right =
        number(reader.bytes()?)? == u64::from(lesser) && number(reader.bytes()?)? == u64::from(greater);
    if right { Ok(()) } else { Err(MalformedTl) }
}

/// A number in big endian.
fn number(bytes: &[u8]) -> Result<u64, MalformedTl> {
    let mut number = [0; 8];
    let zeros = number.len().checked_sub(bytes.len()).ok_or(MalformedTl)?;
    number[zeros..].copy_from_slice(bytes);
    Ok(u64::from_be_bytes(number))
}

/// What stands below either padding: the one of today (`RSA_PAD`), or the one of before 2021, which some clients still have.
/// Behind the value stands whatever the client liked.
fn unpad(decrypted: &Number) -> Option<Zeroizing<Vec<u8>>> {
    unpad_today(decrypted).or_else(|| unpad_older(decrypted))
}

/// A key that is hidden by the digest of what it encrypts, then, encrypted, the data backwards and a digest of both.
fn unpad_today(decrypted: &Number) -> Option<Zeroizing<Vec<u8>>> {
    let (hidden, encrypted) = decrypted.split_first_chunk::<32>()?;
    let mut key = sha256(&[encrypted]);
    for (byte, hidden) in key.iter_mut().zip(hidden) {
        *byte ^= hidden;
    }
    let mut data = Zeroizing::new(encrypted.to_vec());
    let ige = IgeKey { key, iv: [0; 32] };
    ige.decrypt(&mut data);
    let digest = data.split_off(DATA_BYTES);
    data.reverse();
    let right: bool = sha256(&[&ige.key, &data]).ct_eq(digest.as_slice()).into();
    right.then_some(data)
}

/// A digest, then the data: it is of the value alone, whose length only the value says.
fn unpad_older(decrypted: &Number) -> Option<Zeroizing<Vec<u8>>> {
    let (digest, data) = decrypted.strip_prefix(&[0])?.split_first_chunk::<20>()?;
    let length = inner_length(data)?;
    let right: bool = sha1(&[&data[..length]]).ct_eq(digest).into();
    right.then(|| Zeroizing::new(data[..length].to_vec()))
}

fn inner_length(data: &[u8]) -> Option<usize> {
    let mut reader = TlReader::new(data);
    let behind = match reader.word().ok()? {
        P_Q_INNER_DATA => 0,
        P_Q_INNER_DATA_DC | P_Q_INNER_DATA_TEMP => 4,
        P_Q_INNER_DATA_TEMP_DC => 8,
        _ => return None,
    };
    for _ in 0..3 {
        reader.bytes().ok()?;
    }
    reader.raw(16 + 16 + 32 + behind).ok()?;
    Some(data.len() - reader.rest().len())
}

/// How many bytes of data there are below today's padding.
const DATA_BYTES: usize = 192;

fn offer(
    keys: &HandshakeKeys,
    entropy: &dyn Entropy,
    now: Timestamp,
    nonces: Nonces,
    inner: InnerData,
) -> (Handshake, HandshakeStep) {
    let InnerData { new_nonce, life } = inner;
    let (secret, public) = loop {
        let mut secret = Zeroizing::new([0; NUMBER_BYTES]);
        entropy.fill(secret.as_mut_slice());
        let public = keys.prime.power(&GENERATOR, &secret);
        if is_safe(&public) {
            break (secret, public);
        }
    };
    let ige = nonces.ige_key(&new_nonce);
    let answer = nonces
        .write(TlWriter::of(SERVER_DH_INNER_DATA))
        .int(i32::from(GENERATOR[NUMBER_BYTES - 1]))
        .bytes(&PRIME)
        .bytes(public.as_slice())
        .int(seconds(now))
        .done();
    let digest = sha1(&[&answer]);
    let mut encrypted = [&digest[..], &answer].concat();
    let mut padding = vec![0; encrypted.len().next_multiple_of(BLOCK_BYTES) - encrypted.len()];
    entropy.fill(&mut padding);
    encrypted.extend(padding);
    ige.encrypt(&mut encrypted);
    let answer = nonces
        .write(TlWriter::of(SERVER_DH_PARAMS_OK))
        .bytes(&encrypted)
        .done();
    let offer = Offer {
        nonces,
        new_nonce,
        secret,
        ige,
        life,
        retried: None,
    };
    (Handshake::Offered(Box::new(offer)), HandshakeStep::Answer(answer))
}

/// Seconds since 1970 as the protocol writes them.
#[must_use]
pub fn seconds(now: Timestamp) -> i32 {
    i32::try_from(now.seconds()).unwrap_or(i32::MAX)
}

fn agree(keys: &HandshakeKeys, offer: Offer, mut reader: TlReader<'_>) -> Result<Agreed, MalformedTl> {
    const MOST: usize = 512;
    let Offer { nonces, .. } = offer;
    nonces.require(&mut reader)?;
    let encrypted = reader.bytes()?;
    reader.end()?;
    if encrypted.len() > MOST || !encrypted.len().is_multiple_of(BLOCK_BYTES) {
        return Err(MalformedTl);
    }
    let mut data = Zeroizing::new(encrypted.to_vec());
    offer.ige.decrypt(&mut data);
    let (digest, value) = data.split_first_chunk::<20>().ok_or(MalformedTl)?;
    let mut inner = TlReader::new(value);
    if inner.word()? != CLIENT_DH_INNER_DATA {
        return Err(MalformedTl);
    }
    nonces.require(&mut inner)?;
    let retry = inner.long()?;
    let public = padded(inner.bytes()?).ok_or(MalformedTl)?;
    let padding = inner.rest().len();
    let value = &value[..value.len() - padding];
    let is_right: bool = sha1(&[value]).ct_eq(digest).into();
    if !is_right || padding >= BLOCK_BYTES || !is_safe(&public) || retry != offer.retried.unwrap_or(0) {
        return Err(MalformedTl);
    }
    let key = keys.prime.power(&public, &offer.secret);
    let digest = sha1(&[key.as_slice()]);
    let (aux, _) = digest.split_first_chunk::<8>().ok_or(MalformedTl)?;
    let told = |constructor, number: u8| {
        let told = sha1(&[offer.new_nonce.as_slice(), &[number], aux]);
        nonces.write(TlWriter::of(constructor)).raw(&told[4..]).done()
    };
    Ok(Agreed {
        life: offer.life,
        accepted: told(DH_GEN_OK, 1),
        taken: told(DH_GEN_RETRY, 2),
        refused: told(DH_GEN_FAIL, 3),
        again: Handshake::Offered(Box::new(Offer {
            retried: Some(i64::from_le_bytes(*aux)),
            ..offer
        })),
        key,
    })
}

/// Whether half of a key is between 2^1984 and the prime less as much: neither small nor nearly the prime, so that nobody can
/// guess what it is a power of.
fn is_safe(public: &Number) -> bool {
    let margin = NUMBER_BYTES - 1984 / 8;
    let is_large = public[..margin].iter().any(|byte| *byte != 0);
    // The prime less 2^1984 differs from it in these bytes only, and there by one.
    let mut limit = PRIME;
    limit[margin - 1] -= 1;
    is_large && *public <= limit
}

impl Nonces {
    fn write(&self, writer: TlWriter) -> TlWriter {
        writer.raw(&self.client).raw(&self.server)
    }

    fn require(&self, reader: &mut TlReader<'_>) -> Result<(), MalformedTl> {
        let (client, server): ([u8; 16], [u8; 16]) = (reader.array()?, reader.array()?);
        if client == self.client && server == self.server {
            Ok(())
        } else {
            Err(MalformedTl)
        }
    }

    /// What both sides make of the nonces, one of which nobody else knows.
    fn ige_key(&self, new_nonce: &[u8; 32]) -> IgeKey {
        let there = sha1(&[new_nonce, &self.server]);
        let back = sha1(&[&self.server, new_nonce]);
        let twice = sha1(&[new_nonce, new_nonce]);
        let (mut key, mut iv) = ([0; 32], [0; 32]);
        key[..20].copy_from_slice(&there);
        key[20..].copy_from_slice(&back[..12]);
        iv[..8].copy_from_slice(&back[12..]);
        iv[8..28].copy_from_slice(&twice);
        iv[28..].copy_from_slice(&new_nonce[..4]);
        IgeKey { key, iv }
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Awaited => "Awaited",
            Self::Asked(..) => "Asked",
            Self::Offered(_) => "Offered",
        })
    }
}

impl fmt::Debug for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Agreed(..)")
    }
}

#[cfg(test)]
#[path = "tests/handshake.rs"]
mod tests;
