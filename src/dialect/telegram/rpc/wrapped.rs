//! What methods are wrapped in: the version of the schema, what client it is, and that it wants no updates.

use crate::dialect::telegram::schema::{
    INIT_CONNECTION, INPUT_CLIENT_PROXY, INVOKE_AFTER_MSG, INVOKE_WITH_LAYER, INVOKE_WITHOUT_UPDATES,
    JSON_ARRAY, JSON_BOOL, JSON_NULL, JSON_NUMBER, JSON_OBJECT, JSON_OBJECT_VALUE, JSON_STRING,
};
use crate::dialect::telegram::tl::{MalformedTl, TlReader, VECTOR};

/// A method, and what the client said of itself around it.
#[derive(Clone, Copy, Debug)]
pub struct UnwrappedCall<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The version of the schema, if it was said.
    pub layer: Option<u32>,
}

/// Takes a method out of what it is wrapped in.
///
/// # Errors
/// [`MalformedTl`] when a wrapping is cut short, or there are more of them than anybody needs.
pub fn unwrapped(body: &[u8]) -> Result<UnwrappedCall<'_>, MalformedTl> {
    let mut call = UnwrappedCall {
        method: body,
        layer: None,
    };
    for _ in 0..MOST_WRAPPINGS {
        let mut reader = TlReader::new(call.method);
        match reader.word()? {
            INVOKE_WITH_LAYER => call.layer = Some(u32::try_from(reader.int()?).map_err(|_| MalformedTl)?),
            INIT_CONNECTION => skip_client(&mut reader)?,
            INVOKE_WITHOUT_UPDATES => {}
            INVOKE_AFTER_MSG => drop(reader.long()?),
            _ => return Ok(call),
        }
        call.method = reader.rest();
    }
    Err(MalformedTl)
}

fn skip_client(reader: &mut TlReader<'_>) -> Result<(), MalformedTl> {
    const PROXY: u32 = 1;
    const PARAMS: u32 = 2;
    let flags = reader.word()?;
    let _api_id = reader.int()?;
    // What device, system and program it is, and three times which language.
    for _ in 0..6 {
        reader.bytes()?;
    }
    if flags & PROXY != 0 {
        if reader.word()? != INPUT_CLIENT_PROXY {
            return Err(MalformedTl);
        }
        reader.bytes()?;
        reader.int()?;
    }
    if flags & PARAMS != 0 {
        skip_json(reader, MOST_DEPTH)?;
    }
    Ok(())
}

fn skip_json(reader: &mut TlReader<'_>, depth: usize) -> Result<(), MalformedTl> {
    let deeper = depth.checked_sub(1).ok_or(MalformedTl)?;
    match reader.word()? {
        JSON_NULL => {}
        JSON_BOOL => drop(reader.word()?),
        JSON_NUMBER => drop(reader.raw(8)?),
        JSON_STRING => drop(reader.bytes()?),
        kind @ (JSON_ARRAY | JSON_OBJECT) => {
            if reader.word()? != VECTOR {
                return Err(MalformedTl);
            }
            for _ in 0..reader.count(4, usize::MAX)? {
                if kind == JSON_OBJECT {
                    if reader.word()? != JSON_OBJECT_VALUE {
                        return Err(MalformedTl);
                    }
                    reader.bytes()?;
                }
                skip_json(reader, deeper)?;
            }
        }
        _ => return Err(MalformedTl),
    }
    Ok(())
}

const MOST_WRAPPINGS: usize = 8;
const MOST_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::telegram::tl::TlWriter;

    fn client(flags: u32) -> TlWriter {
        let client = TlWriter::of(INVOKE_WITH_LAYER)
            .int(229)
            .word(INIT_CONNECTION)
            .word(flags);
        (0..6).fold(client.int(7), |client, _| client.string("x"))
    }

    fn json(depth: usize) -> TlWriter {
        (0..depth).fold(TlWriter::default(), |json, _| {
            json.word(JSON_ARRAY).word(VECTOR).word(1)
        })
    }

    #[test]
    fn the_method_is_what_all_is_wrapped_around() {
        let method = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(unwrapped(&method).unwrap().method, method);
        let proxy = TlWriter::of(INPUT_CLIENT_PROXY).string("host").int(1).done();
        let object = TlWriter::of(JSON_OBJECT)
            .word(VECTOR)
            .word(1)
            .word(JSON_OBJECT_VALUE)
            .string("tz_offset")
            .word(JSON_NUMBER)
            .raw(&[0; 8])
            .done();
        for wrapped in [
            client(0),
            client(1).raw(&proxy),
            client(2).raw(&object),
            client(3).raw(&proxy).raw(&object),
            client(2).raw(&json(15).word(JSON_NULL).done()),
            TlWriter::of(INVOKE_AFTER_MSG).long(5).raw(&client(0).done()),
        ] {
            let wrapped = wrapped.word(INVOKE_WITHOUT_UPDATES).raw(&method).done();
            let call = unwrapped(&wrapped).unwrap();
            assert_eq!((call.method, call.layer), (&method[..], Some(229)));
            for cut in 0..wrapped.len() - method.len() {
                assert!(unwrapped(&wrapped[..cut]).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn nothing_is_deep_or_wide_without_end() {
        let deep = client(2)
            .raw(&json(MOST_DEPTH).word(JSON_NULL).done())
            .word(7)
            .done();
        let wide = client(2).word(JSON_ARRAY).word(VECTOR).word(u32::MAX).done();
        let again = (0..9).fold(TlWriter::default(), |again, _| again.word(INVOKE_WITHOUT_UPDATES));
        for malformed in [deep, wide, again.done()] {
            assert!(unwrapped(&malformed).is_err());
        }
    }
}
