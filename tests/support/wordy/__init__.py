"""The kinds of an app whose texts are as long as they may be."""
