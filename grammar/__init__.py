"""The language's surface: its grammar and the words for its terminals."""
