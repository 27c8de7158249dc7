//! Enumerations whose values have names, on the wire and in the database.

/// An enumeration with names.
pub trait Named: Copy + 'static {
    /// Returns the name of a value.
    fn name(self) -> &'static str;

    /// Returns the value with this name.
    fn find(name: &str) -> Option<Self>;
}

/// Defines an enumeration with a name for each value: `ALL`, `name` and `find`.
macro_rules! named {
    (
        $(#[$doc:meta])*
        $visibility:vis enum $type:ident { $($(#[$about:meta])* $value:ident = $name:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $type { $($(#[$about])* $value,)* }

        #[allow(dead_code, reason = "not all are used for each type")]
        impl $type {
            /// All values, in display order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$value),*];

            /// Returns the name, on the wire and in the database.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }

            /// Returns the value with this name.
            #[must_use]
            pub fn find(name: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|value| value.name() == name)
            }
        }

        impl $crate::model::named::Named for $type {
            fn name(self) -> &'static str {
                self.name()
            }

            fn find(name: &str) -> Option<Self> {
                Self::find(name)
            }
        }
    };
}

pub(crate) use named;
