//! Adds a text function to SQLite, in every connection that this process opens from then on.
//!
//! sqlx has no safe way to add an SQL function: its collations must define an order, and its
//! `regexp` cannot normalize its input. This crate is minimal, so that the rest of the project can
//! forbid unsafe code.

use std::borrow::Cow;
use std::ffi::CStr;
use std::ffi::c_char;
use std::ffi::c_int;
use std::fmt;
use std::panic::catch_unwind;
use std::ptr;
use std::slice;

use libsqlite3_sys as sqlite;

/// The error of a statement in which the function panicked.
const PANICKED: &CStr = c"the function panicked";

/// A deterministic function from text to text.
pub trait TextFunction: 'static {
    /// Its name in SQL.
    const NAME: &'static CStr;

    /// Returns the result for a text.
    fn call(text: &str) -> Cow<'_, str>;
}

/// SQLite could not allocate memory for the function.
#[derive(Debug)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SQLite has no memory for a function")
    }
}

impl std::error::Error for OutOfMemory {}

/// Adds the function to each connection that this process opens from now on. A value that is not
/// text, such as null, is returned unchanged. A second call has no effect.
///
/// # Errors
/// [`OutOfMemory`].
pub fn register<F: TextFunction>() -> Result<(), OutOfMemory> {
    // SAFETY: `install` lives as long as the process and has the signature of an entry point.
    // SQLite guards its list of entry points by a mutex.
    let code = unsafe { sqlite::sqlite3_auto_extension(Some(install::<F>)) };
    if code == sqlite::SQLITE_OK { Ok(()) } else { Err(OutOfMemory) }
}

/// Adds the function to a connection that is being opened.
///
/// # Safety
/// Must only be called by SQLite, with a connection that no other thread uses yet.
unsafe extern "C" fn install<F: TextFunction>(
    connection: *mut sqlite::sqlite3,
    _error: *mut *mut c_char,
    _api: *const sqlite::sqlite3_api_routines,
) -> c_int {
    let flags = sqlite::SQLITE_UTF8 | sqlite::SQLITE_DETERMINISTIC | sqlite::SQLITE_INNOCUOUS;
    // SAFETY: the caller guarantees that the connection is valid. The name ends with NUL, `call`
    // takes the number of arguments declared here, and there is no user data to keep alive.
    unsafe {
        sqlite::sqlite3_create_function_v2(
            connection,
            F::NAME.as_ptr(),
            1,
            flags,
            ptr::null_mut(),
            Some(call::<F>),
            None,
            None,
            None,
        )
    }
}

/// Calls the function with its argument.
///
/// # Safety
/// Must only be called by SQLite, with a context and one value that are valid until it returns.
unsafe extern "C" fn call<F: TextFunction>(
    context: *mut sqlite::sqlite3_context,
    _count: c_int,
    values: *mut *mut sqlite::sqlite3_value,
) {
    // SAFETY: the function was added with one argument, so there is one value.
    let value = unsafe { *values };
    // SAFETY: the value is valid during the call.
    if unsafe { sqlite::sqlite3_value_type(value) } != sqlite::SQLITE_TEXT {
        // SAFETY: context and value are valid during the call. SQLite copies the value.
        return unsafe { sqlite::sqlite3_result_value(context, value) };
    }
    // SAFETY: the value is valid during the call. Its text does not move unless it is requested in
    // another encoding.
    let start = unsafe { sqlite::sqlite3_value_text(value) };
    // SAFETY: as above.
    let length = unsafe { sqlite::sqlite3_value_bytes(value) };
    if start.is_null() {
        // SAFETY: the context is valid during the call.
        return unsafe { sqlite::sqlite3_result_error_nomem(context) };
    }
    // SAFETY: `start` points to a text of this length, which SQLite leaves unchanged meanwhile.
    let bytes = unsafe { slice::from_raw_parts(start, usize::try_from(length).unwrap_or(0)) };
    let text = String::from_utf8_lossy(bytes);
    let Ok(result) = catch_unwind(|| F::call(&text)) else {
        // SAFETY: the context is valid during the call. SQLite copies the NUL-terminated message.
        return unsafe { sqlite::sqlite3_result_error(context, PANICKED.as_ptr(), -1) };
    };
    let length = u64::try_from(result.len()).unwrap_or(u64::MAX);
    let encoding = u8::try_from(sqlite::SQLITE_UTF8).unwrap_or_default();
    // SAFETY: the result is UTF-8 of this length in bytes, and SQLite copies it before it returns.
    unsafe {
        sqlite::sqlite3_result_text64(
            context,
            result.as_ptr().cast(),
            length,
            sqlite::SQLITE_TRANSIENT(),
            encoding,
        );
    }
}
