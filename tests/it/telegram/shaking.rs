//! A client's side of the handshake, written from the published description, over the intermediate transport.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::dialect::telegram::cipher::IgeKey;
use countersign::dialect::telegram::digest::sha1;
use countersign::dialect::telegram::envelope::AuthKey;
use countersign::dialect::telegram::modular::{Modulus, NUMBER_BYTES, Number};
use countersign::dialect::telegram::prime::{GENERATOR, PRIME};
use countersign::dialect::telegram::schema::{
    CLIENT_DH_INNER_DATA, P_Q_INNER_DATA, REQ_DH_PARAMS, REQ_PQ_MULTI, RES_PQ, SERVER_DH_PARAMS_OK,
    SET_CLIENT_DH_PARAMS,
};
use countersign::dialect::telegram::tl::{TlReader, TlWriter};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::server::key;

/// A client that agrees on keys over one connection.
pub(super) struct Shaking<Stream> {
    pub(super) stream: Stream,
    said: i64,
}

/// What the server asked.
pub(super) struct Asked {
    server_nonce: [u8; 16],
    product: u64,
    fingerprint: i64,
}

/// The server's half of a key.
pub(super) struct Offered {
    server_nonce: [u8; 16],
    ige: IgeKey,
    public: Number,
}

/// The client's half of a key, and the key that comes of it.
pub(super) struct Chosen {
    secret: Number,
    pub(super) key: Arc<AuthKey>,
    digest: [u8; 20],
}

impl Chosen {
    /// What a key is called that cannot be had.
    pub(super) fn aux(&self) -> i64 {
        i64::from_le_bytes(self.digest[..8].try_into().unwrap())
    }
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> Shaking<Stream> {
    pub(super) async fn new(mut stream: Stream) -> Self {
        stream.write_all(&[0xee; 4]).await.unwrap();
        Self { stream, said: 0 }
    }

    /// Says something that is not encrypted; what the server answers, or its transport error.
    async fn say(&mut self, message: &[u8]) -> Result<Vec<u8>, i32> {
        self.said += 4;
        let length = u32::try_from(message.len()).unwrap();
        let payload = TlWriter::default()
            .long(0)
            .long(self.said)
            .word(length)
            .raw(message)
            .done();
        let length = u32::try_from(payload.len()).unwrap();
        let framed = [&length.to_le_bytes()[..], &payload].concat();
        self.stream.write_all(&framed).await.unwrap();
        let length = self.stream.read_u32_le().await.unwrap();
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await.unwrap();
        match <[u8; 4]>::try_from(&frame[..]) {
            Ok(error) => Err(i32::from_le_bytes(error)),
            Err(_) => Ok(frame[20..].to_vec()),
        }
    }

    /// The first step.
    pub(super) async fn ask(&mut self) -> Result<Asked, i32> {
        let answer = self.say(&TlWriter::of(REQ_PQ_MULTI).raw(&NONCE).done()).await?;
        let mut reader = TlReader::new(&answer);
        assert_eq!(reader.word(), Ok(RES_PQ));
        assert_eq!(reader.array(), Ok(NONCE));
        Ok(Asked {
            server_nonce: reader.array().unwrap(),
            product: u64::from_be_bytes(reader.bytes().unwrap().try_into().unwrap()),
            fingerprint: reader.longs(1).unwrap()[0],
        })
    }

    /// The second step.
    pub(super) async fn take(&mut self, asked: &Asked) -> Offered {
        let (p, q) = factors(asked.product);
        let inner = TlWriter::of(P_Q_INNER_DATA)
            .bytes(&asked.product.to_be_bytes())
            .bytes(&p.to_be_bytes())
            .bytes(&q.to_be_bytes())
            .raw(&NONCE)
            .raw(&asked.server_nonce)
            .raw(&NEW_NONCE)
            .done();
        let mut padded = [5; NUMBER_BYTES];
        padded[0] = 0;
        padded[1..21].copy_from_slice(&sha1(&[&inner]));
        padded[21..21 + inner.len()].copy_from_slice(&inner);
        let encrypted = server_key().public_power(&padded, 65_537);
        let request = TlWriter::of(REQ_DH_PARAMS)
            .raw(&NONCE)
            .raw(&asked.server_nonce)
            .bytes(&p.to_be_bytes())
            .bytes(&q.to_be_bytes())
            .long(asked.fingerprint)
            .bytes(encrypted.as_slice())
            .done();
        let answer = self.say(&request).await.unwrap();
        let mut reader = TlReader::new(&answer);
        assert_eq!(reader.word(), Ok(SERVER_DH_PARAMS_OK));
        reader.raw(32).unwrap();
        let mut data = reader.bytes().unwrap().to_vec();
        let ige = ige_key(&asked.server_nonce);
        ige.decrypt(&mut data);
        let mut reader = TlReader::new(&data[20..]);
        reader.raw(4 + 32 + 4).unwrap();
        assert_eq!(reader.bytes().unwrap(), PRIME);
        Offered {
            server_nonce: asked.server_nonce,
            ige,
            public: reader.bytes().unwrap().try_into().unwrap(),
        }
    }

    /// The last step; the constructor of what the server says of it.
    pub(super) async fn finish(&mut self, offered: &Offered, chosen: &Chosen, retry: i64) -> u32 {
        let public = prime().power(&GENERATOR, &chosen.secret);
        let told = TlWriter::of(CLIENT_DH_INNER_DATA)
            .raw(&NONCE)
            .raw(&offered.server_nonce)
            .long(retry)
            .bytes(public.as_slice())
            .done();
        let mut data = [&sha1(&[&told])[..], &told].concat();
        data.resize(data.len().next_multiple_of(16), 8);
        offered.ige.encrypt(&mut data);
        let message = TlWriter::of(SET_CLIENT_DH_PARAMS)
            .raw(&NONCE)
            .raw(&offered.server_nonce)
            .bytes(&data)
            .done();
        let answer = self.say(&message).await.unwrap();
        let constructor = u32::from_le_bytes(answer[..4].try_into().unwrap());
        let hashed = sha1(&[&NEW_NONCE, &[number_of(constructor)], &chosen.digest[..8]]);
        assert_eq!(answer[36..], hashed[4..], "it says which key it means");
        constructor
    }

    /// All steps; the key that both have.
    pub(super) async fn agree(&mut self) -> Result<Arc<AuthKey>, i32> {
        let asked = self.ask().await?;
        let offered = self.take(&asked).await;
        let chosen = offered.choose(7);
        let told = self.finish(&offered, &chosen, 0).await;
        assert_eq!(told, countersign::dialect::telegram::schema::DH_GEN_OK);
        Ok(chosen.key)
    }
}

impl Offered {
    /// The client's half of a key, another one for each `seed`.
    pub(super) fn choose(&self, seed: u8) -> Chosen {
        let secret = [seed; NUMBER_BYTES];
        let key = prime().power(&self.public, &secret);
        let digest = sha1(&[key.as_slice()]);
        Chosen {
            secret,
            key: Arc::new(AuthKey::new(Zeroizing::new(*key))),
            digest,
        }
    }
}

fn number_of(constructor: u32) -> u8 {
    use countersign::dialect::telegram::schema::{DH_GEN_FAIL, DH_GEN_OK, DH_GEN_RETRY};
    match constructor {
        DH_GEN_OK => 1,
        DH_GEN_RETRY => 2,
        DH_GEN_FAIL => 3,
        other => panic!("{other:x} is no answer to the last step"),
    }
}

fn prime() -> Modulus {
    Modulus::new(&PRIME).unwrap()
}

/// The server's public key, from what clients are given.
fn server_key() -> Modulus {
    let pem = key().public_pem();
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(text).unwrap();
    // A sequence of two numbers; the first one is the modulus, behind a zero.
    Modulus::new(&der[9..9 + NUMBER_BYTES].try_into().unwrap()).unwrap()
}

fn ige_key(server_nonce: &[u8; 16]) -> IgeKey {
    let there = sha1(&[&NEW_NONCE, server_nonce]);
    let back = sha1(&[server_nonce, &NEW_NONCE]);
    let twice = sha1(&[&NEW_NONCE, &NEW_NONCE]);
    let key = [&there[..], &back[..12]].concat();
    let iv = [&back[12..], &twice[..], &NEW_NONCE[..4]].concat();
    IgeKey {
        key: key.try_into().unwrap(),
        iv: iv.try_into().unwrap(),
    }
}

/// Two primes of 31 bits (Pollard's rho).
fn factors(product: u64) -> (u32, u32) {
    let wide = u128::from(product);
    let next =
        |x: u64, c: u64| u64::try_from((u128::from(x) * u128::from(x) + u128::from(c)) % wide).unwrap();
    for c in 1.. {
        let (mut slow, mut fast, mut common) = (2, 2, 1);
        while common == 1 {
            slow = next(slow, c);
            fast = next(next(fast, c), c);
            common = divisor(slow.abs_diff(fast), product);
        }
        if common != product {
            let other = product / common;
            let narrow = |factor: u64| u32::try_from(factor).unwrap();
            return (narrow(common.min(other)), narrow(common.max(other)));
        }
    }
    unreachable!("one of all sequences will do")
}

fn divisor(one: u64, other: u64) -> u64 {
    if other == 0 {
        one
    } else {
        divisor(other, one % other)
    }
}

const NONCE: [u8; 16] = [1; 16];
const NEW_NONCE: [u8; 32] = [3; 32];
