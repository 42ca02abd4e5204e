// What every form here does: look at its fields, send them once, and say what is wrong at the field, which takes the focus.

import { useRef, useState, type FormEvent, type RefObject } from 'react';

/** What is wrong, by field, or about all of it. */
export type Wrong<Name extends string> = Partial<Record<Name | 'form', string>>;

interface FormOptions<Name extends string> {
  /** In the order in which they stand. */
  fields: readonly Name[];
  /** Where one goes on when it is no field's fault; else the first field. */
  again?: Name;
  /** What can be told before anything is sent. */
  check: (values: Record<Name, string>) => Wrong<Name>;
  /** The form stays busy after it, because most lead to another page; `reset` ends that. */
  send: (values: Record<Name, string>) => Promise<void>;
  /** What an error of `send` says of which field. */
  explain: (error: unknown) => Wrong<Name>;
}

export interface FormUse<Name extends string> {
  wrong: Wrong<Name>;
  busy: boolean;
  /** Empties the fields, for another time. */
  reset: () => void;
  /** For the form's element. */
  element: {
    ref: RefObject<HTMLFormElement | null>;
    onSubmit: (event: FormEvent<HTMLFormElement>) => void;
    noValidate: true;
  };
}

export function useForm<Name extends string>(options: FormOptions<Name>): FormUse<Name> {
  const { fields, again, check, send, explain } = options;
  const [wrong, setWrong] = useState<Wrong<Name>>({});
  const [busy, setBusy] = useState(false);
  const ref = useRef<HTMLFormElement>(null);

  const refuse = (found: Wrong<Name>) => {
    setWrong(found);
    setBusy(false);
    const first = fields.find((name) => found[name]) ?? again ?? fields[0];
    ref.current?.querySelector<HTMLElement>(`[name=${first}]`)?.focus();
  };

  const submit = async (form: HTMLFormElement) => {
    if (busy) return;
    const data = new FormData(form);
    const pairs = fields.map((name) => [name, String(data.get(name) ?? '')] as const);
    const values = Object.fromEntries(pairs) as Record<Name, string>;
    const found = check(values);
    if (Object.values(found).some(Boolean)) return refuse(found);
    setBusy(true);
    setWrong({});
    try {
      await send(values);
    } catch (error) {
      refuse(explain(error));
    }
  };

  const reset = () => {
    ref.current?.reset();
    setWrong({});
    setBusy(false);
  };
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    void submit(event.currentTarget);
  };
  return { wrong, busy, reset, element: { ref, onSubmit, noValidate: true } };
}
