"""The bytes that matter in JSON text."""

TAB, NEWLINE, RETURN, SPACE, QUOTE = (ord(c) for c in '\t\n\r "')
PLUS, COMMA, MINUS, DOT, ZERO, NINE, COLON = (ord(c) for c in "+,-.09:")
OPEN_LIST, BACKSLASH, CLOSE_LIST, OPEN, CLOSE = (ord(c) for c in "[\\]{}")
LOWER_A, LOWER_E, UPPER_E, LOWER_U = (ord(c) for c in "aeEu")
