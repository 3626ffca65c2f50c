"""Random draws, elementary functions and the Cholesky factor: the native functions whose bits everything depends on."""
