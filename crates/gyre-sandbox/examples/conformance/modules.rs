//! Which of CPython's test modules are run, and what they find beside them.

/// The modules that test what `sandboxes/python/guest/preload.py` imports, and
/// the language itself; last, what a job can bring as files.
#[rustfmt::skip]
pub(crate) const MODULES: &[&str] = &[
    "test_abc", "test_argparse", "test_array", "test_ast", "test_base64",
    "test_binascii", "test_bisect", "test_builtin", "test_calendar", "test_cmath",
    "test_codecs", "test_charmapcodec", "test_codeccallbacks", "test_multibytecodec", "test_collections",
    "test_deque", "test_defaultdict", "test_ordered_dict", "test_userdict", "test_userlist",
    "test_userstring", "test_colorsys", "test_configparser", "test_contextlib", "test_context",
    "test_copy", "test_copyreg", "test_csv", "test_dataclasses", "test_datetime",
    "test_strptime", "test_decimal", "test_difflib", "test_dis", "test_enum",
    "test_errno", "test_fnmatch", "test_fractions", "test_functools", "test_gc",
    "test_getopt", "test_graphlib", "test_hashlib", "test_heapq", "test_hmac",
    "test_html", "test_htmlparser", "test_inspect", "test_io", "test_memoryio",
    "test_fileio", "test_bufio", "test_ipaddress", "test_itertools", "test_json",
    "test_keyword", "test_linecache", "test_locale", "test_logging", "test_marshal",
    "test_math", "test_math_property", "test_abstract_numbers", "test_numeric_tower", "test_operator",
    "test_os", "test_posixpath", "test_genericpath", "test_pathlib", "test_pickle",
    "test_picklebuffer", "test_pickletools", "test_platform", "test_pprint", "test_queue",
    "test_random", "test_re", "test_reprlib", "test_sched", "test_secrets",
    "test_shlex", "test_statistics", "test_string", "test_stringprep", "test_struct",
    "test_sys", "test_textwrap", "test_threading", "test_threading_local", "test_time",
    "test_strftime", "test_timeit", "test_tokenize", "test_traceback", "test_types",
    "test_typing", "test_type_params", "test_unicodedata", "test_ucn", "test_urlparse",
    "test_urllib", "test_tomllib", "test_unittest", "test_uuid", "test_warnings",
    "test_weakref", "test_weakset", "test_xml_etree", "test_xml_etree_c", "test_zlib",
    "test_print", "test_annotationlib", "test_augassign", "test_baseexception", "test_binop",
    "test_bool", "test_bytes", "test_call", "test_class", "test_compare",
    "test_compile", "test_complex", "test_contains", "test_decorators", "test_descr",
    "test_dict", "test_dictcomps", "test_dictviews", "test_dynamicclassattribute", "test_enumerate",
    "test_except_star", "test_exception_group", "test_exception_hierarchy", "test_exception_variations", "test_exceptions",
    "test_extcall", "test_file", "test_float", "test_format", "test_fstring",
    "test_frame", "test_funcattrs", "test_future_stmt", "test_generators", "test_genericalias",
    "test_genericclass", "test_genexps", "test_global", "test_grammar", "test_hash",
    "test_index", "test_int", "test_int_literal", "test_isinstance", "test_iter",
    "test_iterlen", "test_keywordonlyarg", "test_list", "test_listcomps", "test_long",
    "test_longexp", "test_memoryview", "test_metaclass", "test_named_expressions", "test_opcodes",
    "test_patma", "test_peepholer", "test_positional_only_arg", "test_pow", "test_property",
    "test_raise", "test_range", "test_richcmp", "test_scope", "test_set",
    "test_setcomps", "test_slice", "test_sort", "test_source_encoding", "test_str",
    "test_string_literals", "test_strtod", "test_structseq", "test_subclassinit", "test_super",
    "test_symtable", "test_syntax", "test_tstring", "test_tuple", "test_type_aliases",
    "test_type_annotations", "test_type_comments", "test_typechecks", "test_unary", "test_unicode_identifiers",
    "test_univnewlines", "test_unpack", "test_unpack_ex", "test_unparse", "test_with",
    "test_yield_from", "test_shutil", "test_tempfile", "test_stat", "test_glob",
    "test_gzip", "test_fileinput", "test_doctest", "test_zoneinfo", "test_signal",
    "test_resource", "test_http_cookies",
];

/// Modules that import other test modules.
pub(crate) const ALSO: &[(&str, &str)] = &[
    ("test_annotationlib", "test_inspect"),
    ("test_argparse", "test_tools"),
    ("test_cmath", "test_math"),
    ("test_getopt", "test_tools"),
    ("test_math", "test_iter"),
    ("test_posixpath", "test_genericpath"),
    ("test_tstring", "test_string"),
    ("test_type_annotations", "test_inspect"),
    ("test_unittest", "test_importlib"),
    ("test_xml_etree_c", "test_xml_etree"),
];

/// Packages of the library that nothing here tests, and its tests, of which
/// each module gets its own.
pub(crate) const LEFT_OUT: &[&str] = &[
    "test",
    "__phello__",
    "curses",
    "lib-dynload",
    "pydoc_data",
    "sqlite3",
    "venv",
    "wsgiref",
    "xmlrpc",
    "__pycache__",
];

/// Folders of data beside the tests.
pub(crate) const TEST_FOLDERS: &[&str] = &[
    "archivetestdata",
    "cjkencodings",
    "configdata",
    "data",
    "decimaltestdata",
    "encoded_modules",
    "mathdata",
    "support",
    "tokenizedata",
    "tracedmodules",
    "typinganndata",
    "xmltestdata",
];
