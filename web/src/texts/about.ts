// Words of the page about this service, beside those that its operators configured.

export const aboutTexts = {
  title: (name: string) => `About ${name}`,
  ownWords: [
    'Everybody who watches reacts with one tap. All reactions are counted, shown to everybody within a moment, and turned into a record of what moved the audience, and when.',
    'You need no account to watch or to react.',
  ],
  contact: 'Contact',
  email: 'E-mail',
  url: 'Web',
  text: 'Address',
  noContact: 'Those who run this server have named no contact.',
  software: 'Software',
  softwareWords: 'This is Emostream, open source under the Apache License 2.0.',
  documentation: 'Description of the programming interface',
};
