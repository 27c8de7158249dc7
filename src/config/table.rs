//! The declaration of settings: `settings!` makes a struct, its reader and its documentation from
//! one table.
//!
//! A row is a field with its doc comment, its type, and the source of its value:
//!
//! - `setting("NAME", "default", parser)`;
//! - `derived("NAME", default, parser)`: a default that depends on the fields above;
//! - `optional("NAME", parser)`: no default;
//! - `secret("NAME", parser)`: no default, and never shown;
//! - `even_empty("NAME")`: no default, and an empty value differs from none;
//! - `group(function) { rows }`: the result of the function for the values of the rows;
//! - `fields(Struct) { rows }`: the struct with the values of the rows;
//! - `section("Heading")` and `section()`: another table, below a heading or the one above;
//! - `each(names, Table)`: a table for each provider, whose name `<NAME>` stands for;
//! - `computed(value)`: no setting.
//!
//! The doc comment of a setting is its only explanation: in the documentation of the crate, in
//! `.env.example` and in `chinwag settings`. The parsers of `parse` are in scope. `check function;`
//! below the rows names the function for conditions across the settings of the table.

use crate::config::reader::Reader;

/// A table of settings.
pub trait Section: Sized {
    /// Reads the table. Errors are left in the reader, and defaults stand for invalid values.
    fn read(from: &mut Reader) -> Self;
}

/// Makes a struct, its reader and its documentation from a table: see the module.
macro_rules! settings {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $type:ty = $source:ident $arguments:tt $({ $($rows:tt)* })?;
            )*
        }
        $(check $check:path;)?
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $(
                $(#[doc = $doc])*
                #[doc = settings!(@label $source $arguments)]
                pub $field: $type,
            )*
        }

        impl $crate::config::table::Section for $name {
            #[allow(clippy::too_many_lines, reason = "as many as the table has rows")]
            #[allow(clippy::let_and_return, reason = "not if there is a check")]
            fn read(from: &mut $crate::config::reader::Reader) -> Self {
                #[allow(unused_imports, clippy::wildcard_imports, reason = "for all tables")]
                use $crate::config::parse::*;
                $(
                    let $field: $type = settings!(
                        @read from, [$($doc),*], $type, $source $arguments $({ $($rows)* })?
                    );
                )*
                #[allow(unused_mut, reason = "only a check changes fields")]
                let mut table = Self { $($field),* };
                $( $check(&mut table, from); )?
                table
            }
        }
    };

    (@label section $arguments:tt) => { "" };
    (@label computed $arguments:tt) => { "" };
    (@label setting($name:literal, "", $parser:expr)) => { concat!("\n `", $name, "`.") };
    (@label setting($name:literal, $default:literal, $parser:expr)) => {
        concat!("\n `", $name, "`, default `", $default, "`.")
    };
    (@label $source:ident($name:literal $($rest:tt)*)) => { concat!("\n `", $name, "`.") };
    (@label $source:ident $arguments:tt) => { "" };

    (@read $from:ident, $doc:tt, $type:ty, section($($heading:literal)?)) => {{
        $( $from.begin($heading); )?
        <$type as $crate::config::table::Section>::read($from)
    }};
    (@read $from:ident, $doc:tt, $type:ty, each($names:ident, $table:ty)) => {
        $from.each(&$names, <$table as $crate::config::table::Section>::read)
    };
    (@read $from:ident, $doc:tt, $type:ty, computed($value:expr)) => { $value };
    (
        @read $from:ident, $outer:tt, $type:ty, $source:ident($($target:tt)+) {
            $( $(#[doc = $doc:literal])* $field:ident = $row:ident $arguments:tt; )*
        }
    ) => {{
        $( let $field = settings!(@read $from, [$($doc),*], (), $row $arguments); )*
        settings!(@build $source, [$($target)+], $($field),*)
    }};
    (@read $from:ident, $doc:tt, $type:ty, $source:ident($name:literal $(, $argument:expr)*)) => {
        $from.row($name, &$doc).$source($($argument),*)
    };

    (@build group, [$($function:tt)+], $($field:ident),*) => { $($function)+($($field),*) };
    (@build fields, [$struct:ident], $($field:ident),*) => { $struct { $($field),* } };
}
