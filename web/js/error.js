// Errors with a hint.

/** An error whose `hint` says what to do about it, where something can be done. */
export class LightSpladeError extends Error {
  constructor(message, hint, options) {
    super(message, options);
    this.name = "LightSpladeError";
    this.hint = hint;
  }
}

/** Calls into the module, and turns its errors into ours. */
export function calling(work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error && error.name === "Error") {
      throw new LightSpladeError(error.message, error.hint);
    }
    if (error instanceof WebAssembly.RuntimeError) {
      const hint = "the module cannot go on: load the page again, and report what the console says";
      throw new LightSpladeError(`light-splade stopped: ${error.message}`, hint, { cause: error });
    }
    throw error;
  }
}
